//! A small SDK made from the host's own programs, and an engine using it.

use std::collections::BTreeMap;
use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use bastide_recipe::{Builder, Engine, Input, Sdk, SdkName, Sdks, Step};

/// What the scripts of the tests call.
const PROGRAMS: [&str; 20] = [
    "bash", "cat", "chmod", "cp", "env", "id", "ln", "ls", "mkdir", "mknod", "mount", "ps",
    "readlink", "rm", "sleep", "sort", "stat", "touch", "uname", "unshare",
];

/// An SDK of programs copied from the host with the libraries they name.
pub struct HostSdk(PathBuf);

impl HostSdk {
    pub fn new(directory: &Path) -> Self {
        for place in ["bin", "usr/share", "dev", "proc"] {
            fs::create_dir_all(directory.join(place)).unwrap();
        }
        fs::write(directory.join("usr/share/base"), "base").unwrap();
        for program in PROGRAMS {
            let path = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"]
                .iter()
                .map(|place| Path::new(place).join(program))
                .find(|path| path.exists())
                .unwrap_or_else(|| panic!("the host has no {program}"));
            fs::copy(&path, directory.join("bin").join(program)).unwrap();
            let libraries = Command::new("ldd").arg(&path).output().unwrap();
            for word in String::from_utf8(libraries.stdout)
                .unwrap()
                .split_whitespace()
            {
                let copy = directory.join(word.trim_start_matches('/'));
                if word.starts_with('/') && !copy.exists() {
                    fs::create_dir_all(copy.parent().unwrap()).unwrap();
                    fs::copy(word, copy).unwrap();
                }
            }
        }
        Self(directory.to_owned())
    }
}

impl Sdks for HostSdk {
    fn key(&self, _: &SdkName) -> Result<String, Box<dyn Error + Send + Sync>> {
        Ok("host".into())
    }

    fn sdk(&self, name: &SdkName) -> Result<Sdk, Box<dyn Error + Send + Sync>> {
        Ok(Sdk {
            directory: self.0.clone(),
            key: self.key(name)?,
        })
    }
}

/// A place for a test, with an engine.
pub struct Bench {
    pub directory: tempfile::TempDir,
}

impl Bench {
    pub fn new() -> Self {
        // Not below /tmp: the sandbox replaces that, and the tests check it does.
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        HostSdk::new(&directory.path().join("sdk"));
        Self { directory }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn builder(&self) -> Builder {
        self.builder_in(&self.path("cache"))
    }

    pub fn builder_in(&self, cache: &Path) -> Builder {
        builder(self.directory.path(), cache)
    }

    pub fn engine(&self) -> Engine {
        self.builder().build()
    }
}

fn builder(place: &Path, cache: &Path) -> Builder {
    let helper = OsString::from(env!("CARGO_BIN_EXE_bastide-sandbox"));
    let sdk = HostSdk(place.join("sdk"));
    Engine::builder(cache, vec![helper], Box::new(sdk))
}

/// The engine of a bench at that place, from another process.
pub fn engine_in(place: &Path) -> Engine {
    builder(place, &place.join("cache")).build()
}

/// A step of the test SDK.
pub fn step(script: &str, inputs: Vec<Input>) -> Step {
    Step {
        name: "sample".into(),
        sdk: SdkName::new("host"),
        script: script.into(),
        inputs,
        environment: BTreeMap::new(),
        expected: Duration::from_secs(1),
    }
}
