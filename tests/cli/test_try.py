import numpy as np
def test_try(dpt):
    dpt.photograph("a.png"); dpt.photograph("b/c.jpg", 200, 130)
    r = dpt("depth", ".", "-o", "../out", "--format", "color,npy,pfm,png16", "-v")
    print(r.stdout, r.stderr)
    v=np.load("../out/a_depth.npy"); print(v.min(), v.max(), v.shape, v.mean())
    v=np.load("../out/b/c_depth.npy"); print(v.min(), v.max(), v.shape, v.mean())
    r = dpt("depth", ".", "-o", "../out2", "--format", "npy", "--model","metric")
    print(r.stdout, r.stderr)
    v=np.load("../out2/a_depth.npy"); print(v.min(), v.max(), v.shape, v.mean())
    r = dpt("segment", ".", "-o", "../outs", "--format", "npy,overlay,labels,color")
    print(r.stdout, r.stderr)
    v=np.load("../outs/a_labels.npy"); print(np.unique(v, return_counts=True), v.shape, v.mean())
    r = dpt("depth", ".", "-o", "../out", code=0, *["--precision","fp16"])
    print(r.stderr)
    for a in (["--weights", dpt.weights("x.pt", b"just text\n")],["--weights", dpt.weights("x.pt", b"")],["--multiple-of","160000"], ["--debug","--weights", dpt.weights("x.pt", b"just text\n")]):
      try:
        r = dpt("depth", ".", "-o", "../out", *a, code=4)
        print(r.stderr)
      except BaseException as e: print(repr(e)[:500])
