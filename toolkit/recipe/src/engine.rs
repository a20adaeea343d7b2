//! Runs steps and keeps their outputs.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::error::Failure;
use crate::files::{Lock, Scratch};
use crate::hash::Memo;
use crate::key::Identified;
use crate::progress::Progress;
use crate::sandbox::{Bind, Spec, Usage};
use crate::{
    Error, SdkName, Source, Step, StepKey, StepOutput, execute, files, hash, interrupt, key,
};

/// 2026-01-01: the time that steps are told is now, unless configured otherwise.
const EPOCH: u64 = 1_767_225_600;

/// By how much a [`Variation`] with reordered files makes inputs look older.
const SHIFT: Duration = Duration::from_secs(86_400 * 3 + 7);

/// A root file system in which steps run.
#[derive(Clone, Debug)]
pub struct Sdk {
    /// Its root directory, never written to.
    pub directory: PathBuf,
    /// What identifies its content.
    pub key: String,
}

/// Gives SDKs by name, making them when they do not exist yet.
pub trait Sdks: Send + Sync {
    /// The key of an SDK, known without making it.
    ///
    /// # Errors
    /// When no such SDK is defined or locked.
    fn key(&self, name: &SdkName) -> Result<String, Box<dyn std::error::Error + Send + Sync>>;

    /// The SDK of that name, made now if need be.
    ///
    /// # Errors
    /// When no such SDK is defined, or it cannot be made.
    fn sdk(&self, name: &SdkName) -> Result<Sdk, Box<dyn std::error::Error + Send + Sync>>;
}

/// What may differ between two builds without changing what they make.
#[derive(Clone, Debug)]
pub struct Variation {
    /// The time zone (`TZ`).
    pub time_zone: String,
    /// The locale (`LC_ALL`).
    pub locale: String,
    /// The file mode creation mask.
    pub umask: u32,
    /// The host name seen by the steps.
    pub host_name: String,
    /// The scratch directory, which is also `HOME`.
    pub work: PathBuf,
    /// The user id that steps run as; 0 has the capabilities an archiver expects.
    pub user: u32,
    /// How many jobs to run at once (`JOBS`).
    pub jobs: usize,
    /// Whether the directories of inputs list their files in another order, and
    /// the files look older.
    pub reorder: bool,
}

impl Default for Variation {
    fn default() -> Self {
        Self {
            time_zone: "UTC".into(),
            locale: "C.UTF-8".into(),
            umask: 0o022,
            host_name: "bastide".into(),
            work: "/work".into(),
            user: 0,
            jobs: std::thread::available_parallelism().map_or(1, usize::from),
            reorder: false,
        }
    }
}

/// Configuration of an [`Engine`].
pub struct Builder {
    cache: PathBuf,
    helper: Vec<OsString>,
    sdks: Box<dyn Sdks>,
    reuse: bool,
    declared_caches: bool,
    epoch: u64,
    variation: Variation,
}

impl Builder {
    /// Whether outputs of earlier runs are used; otherwise every step is made
    /// again, once.
    #[must_use]
    pub fn reuse(mut self, reuse: bool) -> Self {
        self.reuse = reuse;
        self
    }

    /// Whether [`Source::Cache`] directories persist; otherwise each step gets an
    /// empty one.
    #[must_use]
    pub fn declared_caches(mut self, persist: bool) -> Self {
        self.declared_caches = persist;
        self
    }

    /// `SOURCE_DATE_EPOCH` of every step, in seconds; part of their keys.
    #[must_use]
    pub fn source_date_epoch(mut self, seconds: u64) -> Self {
        self.epoch = seconds;
        self
    }

    /// The circumstances under which the steps run.
    #[must_use]
    pub fn variation(mut self, variation: Variation) -> Self {
        self.variation = variation;
        self
    }

    /// The engine so configured.
    #[must_use]
    pub fn build(self) -> Engine {
        let memo = Memo::load(&self.cache.join("hashes.json"));
        Engine {
            configuration: self,
            progress: Progress::new(),
            memo: Mutex::new(memo),
            made: Mutex::default(),
            history: Mutex::default(),
        }
    }
}

/// Runs steps and keeps their outputs by key, in `steps/` of its cache directory.
pub struct Engine {
    configuration: Builder,
    progress: Progress,
    memo: Mutex<Memo>,
    made: Mutex<BTreeSet<StepKey>>,
    history: Mutex<Vec<StepOutput>>,
}

/// What is known of a step that ran, in `step.json` beside its output.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Record {
    name: String,
    key: String,
    sdk: String,
    sdk_key: String,
    seconds: f64,
    processor_seconds: f64,
    /// Bytes; of the largest process.
    largest_process: u64,
    /// Bytes; of all processes together, sampled.
    peak_memory: u64,
    inputs: BTreeMap<String, String>,
}

impl Engine {
    /// An engine keeping its outputs below `cache`. `helper` is the command line
    /// to which the path of a sandbox description is appended: a program that
    /// calls [`crate::sandbox::enter`] with it.
    pub fn builder(cache: &Path, helper: Vec<OsString>, sdks: Box<dyn Sdks>) -> Builder {
        Builder {
            cache: cache.to_owned(),
            helper,
            sdks,
            reuse: true,
            declared_caches: true,
            epoch: EPOCH,
            variation: Variation::default(),
        }
    }

    /// The outputs of `step`, found in the cache or made now.
    ///
    /// # Errors
    /// When an input cannot be read, the SDK cannot be made or the script fails.
    pub fn run(&self, step: &Step) -> Result<StepOutput, Error> {
        let output = self.find_or_make(step)?;
        locked(&self.history).push(output.clone());
        Ok(output)
    }

    /// What [`Self::run`] has given so far, in that order.
    pub fn history(&self) -> Vec<StepOutput> {
        locked(&self.history).clone()
    }

    fn find_or_make(&self, step: &Step) -> Result<StepOutput, Error> {
        key::check(step)?;
        let sdk_error = |source| Error::Sdk {
            name: step.sdk.clone(),
            source,
        };
        let configuration = &self.configuration;
        let sdk_key = configuration.sdks.key(&step.sdk).map_err(sdk_error)?;
        let mut memo = locked(&self.memo);
        let inputs = key::identify(step, &mut memo)?;
        memo.save()?;
        drop(memo);
        let key = key::compute(step, &sdk_key, configuration.epoch, &inputs);

        let steps = configuration.cache.join("steps");
        let entry = steps.join(format!("{}-{}", step.name, key.short()));
        let may_reuse = configuration.reuse || locked(&self.made).contains(&key);
        if may_reuse && let Some(output) = found(&entry, &key) {
            return Ok(output);
        }
        let lock = steps.join(format!(".{}-{}.lock", step.name, key.short()));
        let _lock = Lock::acquire(&lock, || {
            let text = format!("{}: waiting for another build that makes it", step.name);
            self.progress.note(&text);
        })?;
        if may_reuse && let Some(output) = found(&entry, &key) {
            return Ok(output);
        }
        let sdk = configuration.sdks.sdk(&step.sdk).map_err(sdk_error)?;
        let output = self.make(step, &sdk, &key, &inputs, &entry)?;
        locked(&self.made).insert(key);
        Ok(output)
    }

    fn make(
        &self,
        step: &Step,
        sdk: &Sdk,
        key: &StepKey,
        inputs: &[Identified<'_>],
        entry: &Path,
    ) -> Result<StepOutput, Error> {
        // From here on there is something to tidy up.
        let _guard = interrupt::guard();
        let cache = &self.configuration.cache;
        let scratch = Scratch::new(&cache.join("tmp"), &step.name)?;
        let spec = self.prepare(step, sdk, inputs, scratch.path())?;
        let spec_file = scratch.path().join("spec.json");
        let text = serde_json::to_vec(&spec)
            .map_err(std::io::Error::from)
            .map_err(Error::file("write", &spec_file))?;
        fs::write(&spec_file, text).map_err(Error::file("write", &spec_file))?;
        let result = scratch.path().join("result");
        let log = result.join("log");

        let times = cache.join("times").join(&step.name);
        let expected = remembered(&times).unwrap_or(step.expected);
        let task = self.progress.start(&step.name, Some(expected));
        let mut helper = execute::helper(&self.configuration.helper, &spec_file);
        let ended = execute::run(&mut helper, execute::Stop::AtOnce, &log, &task);
        let seconds = task.elapsed().as_secs_f64();
        let ended = match ended {
            Ok(ended) if ended.code == 0 => ended,
            Ok(ended) => {
                task.finish("failed");
                let kept = cache
                    .join("logs")
                    .join(format!("{}-{}.log", step.name, key.short()));
                keep_log(&log, &kept)?;
                return Err(Error::Failed(Failure {
                    step: step.name.clone(),
                    code: ended.code,
                    tail: ended.tail,
                    log: kept,
                }));
            }
            Err(error) => {
                task.finish("stopped");
                return Err(error);
            }
        };
        task.finish("done");

        let usage = fs::read(&spec.usage)
            .ok()
            .and_then(|text| serde_json::from_slice::<Usage>(&text).ok())
            .unwrap_or_default();
        let record = Record {
            name: step.name.clone(),
            key: key.to_string(),
            sdk: step.sdk.to_string(),
            sdk_key: sdk.key.clone(),
            seconds,
            processor_seconds: usage.processor_seconds,
            largest_process: usage.largest_process,
            peak_memory: ended.peak_memory.max(usage.largest_process),
            inputs: inputs
                .iter()
                .filter_map(|item| {
                    let digest = item.digest.as_ref()?;
                    Some((item.input.name.clone(), format!("{} {digest}", item.kind)))
                })
                .collect(),
        };
        let file = result.join("step.json");
        let text = serde_json::to_vec_pretty(&record)
            .map_err(std::io::Error::from)
            .map_err(Error::file("write", &file))?;
        fs::write(&file, text).map_err(Error::file("write", &file))?;
        let modified = UNIX_EPOCH + Duration::from_secs(self.configuration.epoch);
        files::seal(&result.join("out"), modified)?;
        files::remove_tree(entry)?;
        fs::rename(&result, entry).map_err(Error::file("move the output to", entry))?;
        files::write_atomically(&times, seconds.to_string().as_bytes())?;
        Ok(StepOutput {
            directory: entry.join("out"),
            key: key.clone(),
            seconds,
            reused: false,
        })
    }

    /// Makes the directories of a run and describes its sandbox.
    fn prepare(
        &self,
        step: &Step,
        sdk: &Sdk,
        inputs: &[Identified<'_>],
        scratch: &Path,
    ) -> Result<Spec, Error> {
        let variation = &self.configuration.variation;
        let directory = |name: &str| {
            let path = scratch.join(name);
            fs::create_dir_all(&path).map_err(Error::file("create", &path))?;
            Ok::<_, Error>(path)
        };
        let staged = directory("in")?;
        let script = staged.join(".script");
        fs::write(&script, &step.script).map_err(Error::file("write", &script))?;
        let bind = |source: PathBuf, target: PathBuf, writable, reorder| Bind {
            source,
            target,
            writable,
            reorder,
        };
        let mut binds = vec![
            bind(directory("work")?, variation.work.clone(), true, false),
            bind(directory("result/out")?, "/out".into(), true, false),
            bind(script, "/in/.script".into(), false, false),
        ];
        for item in inputs {
            let name = &item.input.name;
            let target = Path::new(key::place(&item.input.source)).join(name);
            let copy = staged.join(name);
            binds.push(match &item.input.source {
                Source::Path(path) => {
                    let shift = if variation.reorder {
                        SHIFT
                    } else {
                        Duration::ZERO
                    };
                    files::copy_tree(path, &copy, shift)?;
                    // What runs must be what was hashed, editors notwithstanding.
                    if Some(hash::tree_now(&copy)?) != item.digest {
                        return Err(Error::Changed { path: path.clone() });
                    }
                    bind(copy, target, false, variation.reorder)
                }
                Source::Inline(bytes) => {
                    fs::write(&copy, bytes).map_err(Error::file("write", &copy))?;
                    bind(copy, target, false, false)
                }
                Source::Output(output) => {
                    bind(output.directory.clone(), target, false, variation.reorder)
                }
                Source::Crates(path, _) => bind(path.clone(), target, false, false),
                Source::Secret { path, .. } => bind(path.clone(), target, false, false),
                Source::Cache { name } if self.configuration.declared_caches => {
                    let path = self.configuration.cache.join("declared").join(name);
                    fs::create_dir_all(&path).map_err(Error::file("create", &path))?;
                    bind(path, target, true, false)
                }
                Source::Cache { name } => {
                    let empty = directory(&format!("declared/{name}"))?;
                    bind(empty, target, true, false)
                }
            });
        }
        Ok(Spec {
            staging: directory("tree")?,
            sdk: sdk.directory.clone(),
            binds,
            environment: self.environment(step),
            work: variation.work.clone(),
            host_name: variation.host_name.clone(),
            umask: variation.umask,
            user: variation.user,
            usage: scratch.join("usage.json"),
            command: ["/bin/bash", "-euo", "pipefail", "/in/.script"]
                .map(String::from)
                .into(),
        })
    }

    fn environment(&self, step: &Step) -> BTreeMap<String, String> {
        let variation = &self.configuration.variation;
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let mut environment = BTreeMap::from([
            ("PATH".to_owned(), path.to_owned()),
            ("HOME".into(), variation.work.display().to_string()),
            ("LC_ALL".into(), variation.locale.clone()),
            ("TZ".into(), variation.time_zone.clone()),
            ("JOBS".into(), variation.jobs.to_string()),
            (
                "SOURCE_DATE_EPOCH".into(),
                self.configuration.epoch.to_string(),
            ),
        ]);
        environment.extend(step.environment.clone());
        environment
    }
}

/// A finished output in the cache. A key cut short for the directory's name is
/// compared in full.
fn found(entry: &Path, key: &StepKey) -> Option<StepOutput> {
    let record: Record = serde_json::from_slice(&fs::read(entry.join("step.json")).ok()?).ok()?;
    (record.key == key.as_str()).then(|| StepOutput {
        directory: entry.join("out"),
        key: key.clone(),
        seconds: record.seconds,
        reused: true,
    })
}

fn remembered(times: &Path) -> Option<Duration> {
    let seconds = fs::read_to_string(times).ok()?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

fn keep_log(log: &Path, kept: &Path) -> Result<(), Error> {
    if let Some(parent) = kept.parent() {
        fs::create_dir_all(parent).map_err(Error::file("create", parent))?;
    }
    fs::rename(log, kept).map_err(Error::file("keep the log as", kept))
}

/// A panic elsewhere does not make what a mutex protects here wrong.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
