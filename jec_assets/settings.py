"""Where things live and how much to do.

Belongs here: every setting of the project, with its default, unit and reason, and the two profiles. Read by
`definitions.py` and `cli.py` alone, which hand values down; nothing else reads the environment.

Every field is an environment variable with the prefix JEC_ (`JEC_SOURCE`, `JEC_TRIALS`, ...). `JEC_PROFILE` chooses the
defaults: `fast` ends within minutes on two cores, `full` is the published study. A variable always wins over a profile.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PROFILES: dict[str, dict[str, Any]] = {
    "fast": {},
    "full": {
        "trials": 60,
        "epochs": 50,
        "batch_size": 500,
        "max_training_jets": None,
        "max_validation_jets": None,
        "max_test_jets": None,
        "latency_repetitions": 1000,
        "latency_seconds": None,
        "latency_graph_levels": True,
        "load_seconds": 10.0,
    },
}


class Settings(BaseSettings):
    """All settings; see the module's docstring. Defaults are the profile `fast`."""

    model_config = SettingsConfigDict(env_prefix="JEC_", extra="ignore", frozen=True, env_ignore_empty=True)

    profile: Literal["fast", "full"] = Field("fast", description="fast: minutes, two cores; full: the study")

    # Where things live
    storage_root: str = Field("var/storage", description="folder or s3:// prefix of all artifacts")
    work_folder: Path = Field(Path("var"), description="local folder of simulated jets, Triton's files and caches")
    source: str = Field(
        "var/simulated_jets",
        description="jet files: a folder, a glob, an s3:// prefix, a root:// URL, or several separated by commas",
    )
    alternative_source: str | None = Field(
        None, description="files of another generator, written as `source`: the report then shows what it changes"
    )
    max_files: int | None = Field(None, ge=1, description="read only the first so many files, by name")
    # The rest of what S3 clients must know is in the variables AWS_*, as everywhere.
    s3_addressing: Literal["auto", "path", "virtual"] = Field(
        "auto", description="bucket behind (path) or in (virtual) the S3 server's name; auto: virtual for Amazon only"
    )
    s3_attempts: int = Field(3, ge=1, description="attempts of a request to S3, in each of s3fs's five rounds")
    s3_seconds: float = Field(15.0, gt=0, description="how long an S3 server may be silent in the middle of a request")

    # Which jets, and what is seen of them
    min_gen_pt: float = Field(
        20.0, ge=0, description="GeV; jets with a lower genJetPt are rejected (paper, Section 3.1)"
    )
    max_abs_gen_eta: float = Field(
        2.5, gt=0, description="jets with a larger |genJetEta| are rejected (paper, Section 3.1)"
    )
    feature_set: str = Field("extended", description="a name declared in jec_assets.jets.features")
    reading_processes: int = Field(0, ge=0, description="processes that read files; 0: one per core")

    # How much to train
    families: tuple[str, ...] = Field(
        ("pfn", "particle_net", "pfn_committee"), description="model families that `calibration` trains"
    )
    trials: int = Field(3, ge=1, le=1000, description="trials a family; the first is the known optimum")
    epochs: int = Field(4, ge=1, description="epochs a trial (paper: 50)")
    batch_size: int = Field(64, ge=2, description="jets a step (paper: 500); smaller where there are few epochs")
    max_training_jets: int | None = Field(20_000, ge=1, description="training jets, by event hash; None: all")
    max_validation_jets: int | None = Field(7_000, ge=1, description="validation jets, by event hash; None: all")
    max_test_jets: int | None = Field(30_000, ge=1, description="test jets, by event hash; None: all")
    # 94 is the smallest seed whose second and third trials of both families are networks that a laptop trains in a
    # minute, with learning rates from 5e-4 to 8e-3 and dropout below 0.35: chosen from the plans, before any training.
    seed: int = Field(94, ge=0, description="of the search, of initial weights and of the order of jets")
    loss: Literal["absolute", "quantile", "huber", "log_cosh"] = Field(
        "absolute", description="what is minimized; quantile also predicts where 16 % and 84 % of like jets lie"
    )
    schedule: Literal["flat_decay", "cosine", "one_cycle", "constant"] | None = Field(
        None, description="of the learning rate; None: the family's own"
    )
    clip_norm: float | None = Field(None, gt=0, description="longest gradient; None: the family's own")
    average_decay: float | None = Field(
        None, gt=0, lt=1, description="of the moving average of weights, a step; None: the family's own"
    )
    weighting: Literal["none", "event_weights", "flat_weights", "flat_sampling"] = Field(
        "none", description="how much training jets count: flat_* is flat in pT and eta for each flavor"
    )
    patience: int | None = Field(None, ge=1, description="epochs without improvement that end a trial; None: none do")

    # How to train it
    # Two threads are a third faster where nothing else runs, and several times slower where something does.
    threads: int = Field(1, ge=0, description="threads of a training step on the CPU; 0: torch's own choice")
    loading_threads: int = Field(
        0, ge=0, description="threads that prepare batches ahead; 0: none beside the training's"
    )
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="of products in training; auto: bfloat16 on GPUs that have it"
    )
    deterministic: bool = Field(False, description="the same bits on a GPU too, more slowly")
    parallel_trials: int = Field(0, ge=0, description="trials at a time; 0: one a GPU, or as many as there are cores")
    workers: int = Field(
        1, ge=1, description="processes of a machine that train one network together, each on a GPU or core"
    )
    nodes: int = Field(
        1, ge=1, description="machines of a cluster that train one network together, each with so many workers"
    )
    nodes_kind: Literal["indexed_job", "pytorch_job", "train_job"] = Field(
        "indexed_job",
        description="what starts them: Kubernetes' own Job, or Kubeflow's PyTorchJob or TrainJob where it is installed",
    )

    # How to look at it
    bootstrap_resamples: int = Field(30, ge=2, description="resamplings behind an uncertainty (paper, Section 5.3)")
    latency_repetitions: int = Field(50, ge=2, description="requests per batch size (paper: 1,000)")
    latency_seconds: float | None = Field(
        1.0, gt=0, description="seconds per batch size, all protocols together, two requests at least; None: no cap"
    )
    latency_graph_levels: bool = Field(
        False, description="measure at every graph level too, served one after the other, four times as long"
    )
    load_seconds: float = Field(0.3, gt=0, description="seconds under each load, of some ten per family")

    # How to serve it
    endpoint: Literal["local", "url", "kubernetes"] = Field(
        "local",
        description="local: this machine's own Triton; url: a running one; kubernetes: one applied to a cluster",
    )
    endpoint_url: str = Field(
        "", description="host:port of HTTP, for endpoint=url; for kubernetes, where steps run outside of the cluster"
    )
    endpoint_grpc_url: str = Field("", description="the same of gRPC")
    endpoint_token_file: str | None = Field(
        None,
        description="file with the token that url and kubernetes want of who loads models; None: the url wants none",
    )
    endpoint_port: int | None = Field(
        None,
        ge=1,
        le=65533,
        description="HTTP, with gRPC and metrics on the next two; None: free ones of this machine, 8000 on a cluster",
    )
    endpoint_workload: Literal["deployment", "kserve"] = Field(
        "deployment", description="what makes Triton's Pods on a cluster; kserve: an InferenceService, needs KServe"
    )
    endpoint_replicas: int = Field(1, ge=1, description="Tritons on a cluster, each of which serves every model")
    endpoint_gpus: int = Field(0, ge=0, description="of each of them")
    endpoint_seconds: float = Field(
        900.0, gt=0, description="that a cluster may take to run it: a new node, an image of 10 GB, all models"
    )
    triton_image: str = Field("nvcr.io/nvidia/tritonserver:25.08-py3", description="of Triton's Pods")
    triton_command: tuple[str, ...] = Field(
        ("tritonserver",), min_length=1, description="what is Triton in that image, before Triton's own options"
    )
    graph_levels: dict[str, Literal["disabled", "basic", "extended", "all"]] = Field(
        {}, description="how far ONNX Runtime may change a family's graph, by family; all where none is named"
    )
    served_numbers: dict[str, Literal["float32", "float16", "int8"]] = Field(
        {}, description="numbers that a family is served in, if they hold loss and response; else float32"
    )
    kept_versions: int = Field(
        5, ge=1, description="newest versions of a family; older ones that are served, tried or tagged are kept too"
    )
    served_versions: int = Field(
        2, ge=1, description="of a family at a time, to clients that name one; each takes memory of the server"
    )
    rollout_max_change: float = Field(
        0.02, gt=0, description="of the log factors, half of which may change by so much, else a version isn't promoted"
    )
    rollout_max_slowdown: float = Field(
        1.5, gt=0, description="time of a request over that of what is served, beyond which a version isn't promoted"
    )

    # How to run it
    executor: Literal["in_process", "multiprocess", "kubernetes"] = Field(
        "in_process", description="Dagster's executor; kubernetes: a Job per step"
    )
    dask_scheduler: str | None = Field(
        None,
        pattern=r"^(tcp|tls)://",
        description="tcp:// or tls:// address of a Dask cluster whose workers read files; None: processes here",
    )
    namespace: str = Field("jec", description="Kubernetes namespace of everything that is made on a cluster")
    trial_gpus: bool = Field(True, description="on a cluster, a GPU for each of a trial's workers; false: cores only")
    trial_gpu_memory: int = Field(
        0, ge=0, description="MiB that each of these GPUs has at least, by its node's label nvidia.com/gpu.memory"
    )
    trial_image: str | None = Field(
        None, description="image of trials on a cluster, with CUDA where they have GPUs; None: the code server's"
    )

    # What starts by itself, once it is switched on in the UI
    experiment: str = Field(
        "default", pattern=r"^[a-z0-9][a-z0-9_.-]*$", description="tag of runs; reports compare within an experiment"
    )
    arrivals: Literal["retrain", "ingest"] = Field(
        "retrain", description="what changed files of the source start: everything, or only reading and splitting"
    )
    arrivals_dry_run: bool = Field(False, description="say what changed files would start, and start nothing")
    arrivals_min_files: int | None = Field(
        None, ge=1, description="so many new, changed or removed files are enough; None: their number isn't"
    )
    # A statistical uncertainty gets 5 % smaller with 10 % more jets: less is not worth a search.
    arrivals_min_percent: float = Field(
        10.0, gt=0, description="so many % of the jets (estimated by bytes) in such files are enough"
    )
    arrivals_quiet_seconds: float = Field(600.0, ge=0, description="how long nothing may change before anything starts")
    arrivals_seconds: int = Field(60, ge=1, description="between two looks at the source")
    arrivals_attempts: int = Field(2, ge=1, description="runs of a job that fails, the first included")
    calibration_cron: str = Field("0 2 * * 6", description="when the schedule `calibration_schedule` retrains")
    endpoint_check_cron: str = Field("0 5 * * *", description="when the schedule `endpoint_check_schedule` checks")
    timezone: str = Field("UTC", description="of both schedules, as Europe/Zurich")
    failure_webhook_file: Path | None = Field(
        None, description="file with the URL that is told of failed runs, a secret; None: they are only logged"
    )
    ui_url: str | None = Field(None, description="where people reach Dagster's UI, for links to runs; None: no links")
    report_days: float = Field(14.0, gt=0, description="days after which a calibration report is no longer fresh")
    endpoint_days: float = Field(14.0, gt=0, description="days after which a served endpoint is no longer fresh")
    study_database: str | None = Field(
        None,
        description="SQLAlchemy URL, without password, of an Optuna database that shows trials; None: there is none",
    )

    @model_validator(mode="before")
    @classmethod
    def _profile_defaults(cls, values: Any) -> Any:
        """Fill what nobody set from the profile."""
        if not isinstance(values, dict):
            return values
        profile = PROFILES.get(str(values.get("profile", "fast")), {})
        return {**profile, **values}
