//! The steps that make a kernel.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bastide_recipe::{Engine, Input, SdkName, Source, Step, StepOutput};

use crate::configuration::{CheckedConfiguration, Facts, Violations};
use crate::wanted::Wanted;

/// Put before the script of every step that needs the source.
const SOURCE: &str = include_str!("../steps/source.sh");
const CONFIGURE: &str = include_str!("../steps/configure.sh");
const COMPILE: &str = include_str!("../steps/compile.sh");
/// How many lines of work the last measured compile printed.
const ESTIMATE: &str = include_str!("../estimate");

/// Why there is no kernel.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A step could not be described or did not succeed.
    #[error(transparent)]
    Step(#[from] bastide_recipe::Error),
    /// An output or patch cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The configuration is not what was asked.
    #[error(transparent)]
    Configuration(#[from] Violations),
}

/// A compiled kernel.
#[derive(Debug)]
pub struct Kernel {
    /// The directory holds `bzImage`, `kernel.config`, `System.map`, `vmlinux.btf`
    /// (the kernel's types), `modules/usr/lib/modules/<release>` (without
    /// signatures: `bastide-sign` puts them), `sign-file` and `version` (the release's name).
    pub output: StepOutput,
    /// What it was compiled from.
    pub configuration: CheckedConfiguration,
}

/// Completes, checks and compiles the kernel that is wanted.
///
/// # Errors
/// When a step fails, and before anything is compiled when the completed
/// configuration is not what was asked.
pub fn build(engine: &Engine, wanted: &Wanted) -> Result<Kernel, BuildError> {
    let found = engine.run(&configuration_step(wanted))?;
    let read = |name: &str| {
        let path = found.directory.join(name);
        std::fs::read_to_string(&path).map_err(|source| BuildError::Read { path, source })
    };
    let (configuration, symbols, hardening) = (
        read("kernel.config")?,
        read("symbols")?,
        read("hardening.json")?,
    );
    let facts = Facts {
        configuration: &configuration,
        symbols: &symbols,
        hardening: &hardening,
    };
    let configuration = CheckedConfiguration::check(wanted, &facts)?;
    let output = engine.run(&compile_step(wanted, &configuration))?;
    Ok(Kernel {
        output,
        configuration,
    })
}

/// Completes the requests to a configuration and gathers what judging it needs:
/// `kernel.config`, `symbols`, `hardening.json` and `version`.
#[must_use]
pub fn configuration_step(wanted: &Wanted) -> Step {
    let mut inputs = common_inputs(wanted);
    let fragment = Source::Inline(wanted.fragment().into_bytes());
    inputs.push(Input::new("fragment", fragment));
    step(
        "kernel-configuration",
        CONFIGURE,
        inputs,
        Duration::from_secs(60),
    )
}

/// Compiles a checked configuration. Its inputs are the complete configuration, not
/// the fragments, so that a reworded reason compiles nothing again.
#[must_use]
pub fn compile_step(wanted: &Wanted, configuration: &CheckedConfiguration) -> Step {
    let mut inputs = common_inputs(wanted);
    let text = configuration.text().as_bytes().to_vec();
    inputs.push(Input::new("kernel.config", Source::Inline(text)));
    inputs.push(Input::new("estimate", Source::Inline(ESTIMATE.into())));
    let cache = Source::Cache {
        name: "ccache".into(),
    };
    inputs.push(Input::new("ccache", cache));
    step("kernel", COMPILE, inputs, Duration::from_secs(40 * 60))
}

/// What both steps that unpack the source need.
fn common_inputs(wanted: &Wanted) -> Vec<Input> {
    let mut inputs = vec![Input::new(
        "layout",
        Source::Inline(wanted.layout().as_bytes().to_vec()),
    )];
    for (index, patch) in wanted.patches().iter().enumerate() {
        let name = patch.file_name().unwrap_or_default().to_string_lossy();
        inputs.push(Input::new(
            format!("patch-{index:03}-{name}"),
            Source::Path(patch.clone()),
        ));
    }
    inputs
}

/// A step in the kernel's SDK whose script finds the patched source.
fn step(name: &str, script: &str, inputs: Vec<Input>, expected: Duration) -> Step {
    Step {
        name: name.into(),
        sdk: SdkName::new("kernel"),
        script: format!("{SOURCE}\n{script}"),
        inputs,
        environment: BTreeMap::new(),
        expected,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn wanted() -> Wanted {
        let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/good/base");
        Wanted::read(&[base]).unwrap()
    }

    fn names(step: &Step) -> Vec<&str> {
        step.inputs
            .iter()
            .map(|input| input.name.as_str())
            .collect()
    }

    #[test]
    fn the_steps_name_what_they_read() {
        let step = configuration_step(&wanted());
        assert_eq!(
            names(&step),
            ["layout", "patch-000-0001-a.patch", "fragment"]
        );
        for name in ["/in/layout", "/in/patch-", "/in/fragment"] {
            assert!(step.script.contains(name), "{name}");
        }
    }

    #[test]
    fn no_key_is_an_input_of_the_compile() {
        for script in [CONFIGURE, COMPILE, SOURCE] {
            assert!(!script.contains("/secret"));
        }
    }

    #[test]
    fn the_estimate_is_a_number() {
        assert!(ESTIMATE.trim().parse::<u32>().unwrap() > 0);
    }
}
