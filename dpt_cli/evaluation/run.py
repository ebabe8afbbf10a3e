"""A model on a data set: every picture through the pipeline of a run, and scored.

Knows no terminal: whoever iterates over the events shows them.
"""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dpt_cli.checkpoint.specs import CheckpointSpec
from dpt_cli.engine.choice import resolve_engine
from dpt_cli.errors import DptError, InputError, UnexpectedError
from dpt_cli.evaluation.pairs import Pair, Pairs
from dpt_cli.metrics.datasets import OWN
from dpt_cli.metrics.protocol import Protocol
from dpt_cli.photos.find import BadInput
from dpt_cli.pipeline.events import Done, Failed
from dpt_cli.pipeline.plan import Job
from dpt_cli.pipeline.settings import EngineSettings

if TYPE_CHECKING:
    from dpt_cli.engine import Engine, RawOutput
    from dpt_cli.evaluation.multiscale import MultiScale
    from dpt_cli.evaluation.store import Scores, ScoreStore
    from dpt_cli.maps import DepthMap, LabelMap
    from dpt_cli.photos.decode import Photo
    from dpt_cli.pipeline.lazy_engine import LazyEngine
    from dpt_cli.pipeline.local import Stages
    from dpt_cli.predict.predictor import Prepared


@dataclass(frozen=True)
class Scored:
    """A picture that has scores.

    Attributes:
        pair: The photograph and its truth.
        scores: As the scorer returned them.
        is_new: Whether they were made now; an earlier evaluation made the others.
    """

    pair: Pair
    scores: "Scores"
    is_new: bool


@dataclass(frozen=True)
class EvalSettings:
    """How a model is evaluated.

    Attributes:
        output: The folder that keeps the scores.
        engine: How the network runs.
        protocol: How depth is compared; for segmentation only its sizes count.
        multi_scale: For segmentation, the protocol of several scales; None for one.
        resolution: Height and width the network size aims at [px]; None for the weights' own.
        batch_size: How many photographs share a batch.
        force: Score again what has scores.
    """

    output: Path
    engine: EngineSettings
    protocol: Protocol = OWN
    multi_scale: "MultiScale | None" = None
    resolution: tuple[int, int] | None = None
    batch_size: int = 1
    force: bool = False


@dataclass
class Evaluation:
    """One model at one resolution, to be scored on pairs.

    Attributes:
        spec: The weights' row.
        pairs: What to score.
        settings: How.
        weights: The weights in words, once the events are asked for.
    """

    spec: CheckpointSpec
    pairs: Pairs
    settings: EvalSettings
    weights: str = ""

    def events(
        self,
        notify: Callable[[str], None] = lambda _line: None,
        on_loaded: Callable[["Engine"], None] = lambda _engine: None,
    ) -> Generator[Scored | Failed, None, None]:
        """Score every pair and yield what became of it; closing the generator stops.

        Raises:
            OutputError: The folder cannot be used.
            DptError: Weights or device: nothing more can be done.
        """
        from dpt_cli.evaluation.store import ScoreStore
        from dpt_cli.pipeline.lazy_engine import LazyEngine

        yield from map(failed, self.pairs.failures)
        if not self.pairs.pairs:
            return  # before weights are downloaded for nothing
        engine = LazyEngine(self.spec, self.settings.engine, notify, on_loaded)
        self.weights = engine.weights.label
        recipe = self._recipe(engine.weights.sha256)
        with ScoreStore(self.settings.output) as store:
            todo: dict[Path, Pair] = {}
            for pair in self.pairs.pairs:
                scores = None if self.settings.force else store.find(pair, recipe)
                if scores is None:
                    todo[pair.photograph] = pair
                else:
                    yield Scored(pair, scores, is_new=False)
            if todo:
                engine.load_ahead()
                yield from self._scored(todo, engine, store, recipe)

    def _scored(
        self, todo: Mapping[Path, Pair], engine: "LazyEngine", store: "ScoreStore", recipe: str
    ) -> Iterator[Scored | Failed]:
        from dpt_cli.pipeline import local

        score = self._scorer()

        def write(result: "DepthMap | LabelMap", rgb: Any, job: Job) -> Mapping[str, Any]:
            pair = todo[job.photograph]
            scores = score(result, (rgb.shape[0], rgb.shape[1]), pair)
            store.add(pair, recipe, scores)
            return scores

        stages = self._stages(todo, engine, write)
        jobs = [Job(photograph, {}) for photograph in todo]
        batch_size = 1 if self.settings.multi_scale else self.settings.batch_size
        with closing(local.run(jobs, stages, batch_size)) as outcomes:
            for outcome in outcomes:
                if isinstance(outcome, Done):
                    yield Scored(todo[outcome.job.photograph], outcome.facts, is_new=True)
                else:
                    yield outcome

    def _stages(
        self,
        todo: Mapping[Path, Pair],
        engine: "LazyEngine",
        write: Callable[..., Mapping[str, Any]],
    ) -> "Stages[Any]":
        from dpt_cli.evaluation import stages
        from dpt_cli.pipeline.local import Stages
        from dpt_cli.pipeline.stages import Finish, Infer

        spec, settings = self.spec, self.settings
        photographs = stages.Photographs(todo)
        prepare: Callable[[Photo], Prepared] = stages.PrepareByProtocol(
            spec, settings.protocol, settings.resolution
        )
        infer: Callable[[Sequence[Prepared]], list[RawOutput]] = Infer(engine)
        finish: Callable[[RawOutput, Prepared, Job], DepthMap | LabelMap]
        finish = stages.FinishByProtocol(spec, engine, settings.protocol)
        if settings.multi_scale is not None:
            prepare = stages.PrepareWhole(spec)
            infer = stages.InferMultiScale(spec, engine, settings.multi_scale)
            finish = stages.FinishLabels(spec, engine)
        elif spec.task == "segment":
            finish = Finish(spec, engine)
        return Stages(
            read=photographs.read,
            decode=photographs.decode,
            prepare=prepare,
            load=engine.num_at_once,
            infer=infer,
            finish=finish,
            write=write,
            keeps_photographs=True,
        )

    def _scorer(self) -> Callable[[Any, tuple[int, int], Pair], Mapping[str, Any]]:
        if self.spec.task == "segment":
            from dpt_cli.evaluation.labels import LabelScorer

            return LabelScorer()
        from dpt_cli.evaluation.depth import DepthScorer

        return DepthScorer(self.settings.protocol)

    @property
    def engine_name(self) -> str:
        """Return what computes: `torch` or `openvino`."""
        run = self.settings.engine
        return resolve_engine(run.engine, run.device, run.precision)

    @property
    def precision(self) -> str:
        """Return the arithmetic that computes."""
        from dpt_cli.pipeline.record import expected_precision

        return expected_precision(self.settings.engine, self.engine_name)

    def _recipe(self, weights_sha256: str) -> str:
        from dpt_cli.evaluation.store import recipe_of

        settings, spec = self.settings, self.spec
        return recipe_of(
            weights=weights_sha256,
            input=asdict(spec.input),
            output=asdict(spec.output),
            task=spec.task,
            protocol=asdict(replace(settings.protocol, note="", num_pictures=None)),
            multi_scale=settings.multi_scale,
            resolution=settings.resolution,
            engine=self.engine_name,
            precision=self.precision,
        )


def failed(bad: BadInput) -> Failed:
    """Return the event of a photograph that cannot be scored."""
    return Failed(Job(bad.path, {}), InputError(bad.reason))


def guarded(pair: Pair, step: Callable[[], Mapping[str, Any]]) -> "Scored | Failed":
    """Score one picture; whatever happens is its own failure."""
    try:
        return Scored(pair, step(), is_new=True)
    except DptError as error:
        return Failed(Job(pair.photograph, {}), error)
    except Exception as error:  # noqa: BLE001  # one picture must not cost the others
        return Failed(Job(pair.photograph, {}), UnexpectedError(error))
