//! The configuration that the kernel's tools made, held against what was asked.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Deserialize;

use crate::option::Value;
use crate::wanted::Wanted;

/// What the configuration step found out.
#[derive(Clone, Debug)]
pub struct Facts<'text> {
    /// The complete configuration, as `.config` holds it.
    pub configuration: &'text str,
    /// The names of all options that this kernel's source defines, one a line.
    pub symbols: &'text str,
    /// What kernel-hardening-checker says, as JSON.
    pub hardening: &'text str,
}

/// One way in which a configuration is not what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation(String);

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Every way in which a configuration is not what was asked; at least one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the kernel's configuration is not what was asked; nothing was compiled:\n{}", lines(.0))]
pub struct Violations(Vec<Violation>);

impl Violations {
    /// The violations, in the order of the options' names.
    pub fn list(&self) -> &[Violation] {
        &self.0
    }
}

/// One line for each violation.
fn lines(items: &[Violation]) -> String {
    let items: Vec<_> = items.iter().map(|item| format!("  {item}")).collect();
    items.join("\n")
}

/// How many of the hardening checker's tests of the configuration are passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HardeningScore {
    /// Passed.
    pub passed: usize,
    /// All.
    pub total: usize,
}

impl fmt::Display for HardeningScore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} of {}", self.passed, self.total)
    }
}

/// A complete configuration in which every request took, nothing forbidden is on
/// and the hardening checker finds nothing that the definition does not explain.
#[derive(Clone, Debug)]
#[must_use]
pub struct CheckedConfiguration {
    text: String,
    options: usize,
    score: HardeningScore,
}

impl CheckedConfiguration {
    /// Compares `facts` with what is wanted.
    ///
    /// # Errors
    /// With every difference found.
    pub fn check(wanted: &Wanted, facts: &Facts<'_>) -> Result<Self, Violations> {
        let values = values(facts.configuration);
        let symbols: BTreeSet<&str> = facts.symbols.lines().collect();
        let mut violations = Vec::new();
        requests(wanted, &values, &symbols, &mut violations);
        prohibitions(wanted, &values, &symbols, &mut violations);
        let score = hardening(wanted, facts.hardening, &mut violations);
        if !violations.is_empty() {
            return Err(Violations(violations));
        }
        Ok(Self {
            text: facts.configuration.to_owned(),
            options: values.values().filter(|value| is_on(value)).count(),
            score,
        })
    }

    /// The text, as `.config` holds it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How many options are on, built in or as modules.
    pub fn options(&self) -> usize {
        self.options
    }

    /// What the hardening checker says.
    pub fn score(&self) -> HardeningScore {
        self.score
    }
}

/// Whether a value read from a configuration means built in or module.
fn is_on(value: &str) -> bool {
    matches!(value, "y" | "m")
}

/// The options set in the text of a configuration.
fn values(text: &str) -> BTreeMap<&str, &str> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .collect()
}

/// Finds requests that did not take.
fn requests(
    wanted: &Wanted,
    values: &BTreeMap<&str, &str>,
    symbols: &BTreeSet<&str>,
    violations: &mut Vec<Violation>,
) {
    for (name, request) in wanted.requests() {
        let got = values.get(name.as_str()).copied();
        let took = match request.value {
            Value::No => !got.is_some_and(is_on),
            _ => got == Some(request.value.to_string().as_str()),
        };
        if took {
            continue;
        }
        let cause = match got {
            _ if !symbols.contains(name.symbol()) => {
                "this kernel has no such option; it may have been renamed or removed".to_owned()
            }
            Some(got) => format!("it is {got}; another option selects it or limits it"),
            None => "it is not set; something that it depends on is off".to_owned(),
        };
        violations.push(Violation(format!(
            "{}: {name}={} did not take: {cause} (wanted because: {})",
            request.at, request.value, request.reason
        )));
    }
}

/// Finds what is forbidden and on.
fn prohibitions(
    wanted: &Wanted,
    values: &BTreeMap<&str, &str>,
    symbols: &BTreeSet<&str>,
    violations: &mut Vec<Violation>,
) {
    for (name, prohibition) in wanted.prohibitions() {
        if values.get(name.as_str()).copied().is_some_and(is_on) {
            violations.push(Violation(format!(
                "{}: {name} is on: another option selects it (forbidden because: {})",
                prohibition.at, prohibition.reason
            )));
        } else if !symbols.contains(name.symbol()) {
            violations.push(Violation(format!(
                "{}: {name} guards against nothing: this kernel has no such option; it may have been renamed or removed",
                prohibition.at
            )));
        }
    }
}

/// One result of kernel-hardening-checker.
#[derive(Deserialize)]
struct Finding {
    option_name: String,
    desired_val: String,
    check_result: String,
    check_result_bool: bool,
}

/// Finds what the hardening checker complains of and nobody has explained, and
/// explanations of what it does not complain of.
fn hardening(wanted: &Wanted, json: &str, violations: &mut Vec<Violation>) -> HardeningScore {
    let findings: Vec<Finding> = match serde_json::from_str(json) {
        Ok(findings) => findings,
        Err(error) => {
            violations.push(Violation(format!(
                "the hardening checker's answer cannot be read: {error}"
            )));
            Vec::new()
        }
    };
    let mut used = BTreeSet::new();
    for finding in findings.iter().filter(|finding| !finding.check_result_bool) {
        let explained = wanted.exceptions().iter().position(|exception| {
            let same_value = |desired: &String| *desired == finding.desired_val;
            exception.name.as_str() == finding.option_name
                && exception.desired.as_ref().is_none_or(same_value)
        });
        match explained {
            Some(index) => {
                used.insert(index);
            }
            None => violations.push(Violation(format!(
                "{}: the hardening checker would have it \"{}\" ({}); follow it, or say in hardening-exceptions.options why not",
                finding.option_name, finding.desired_val, finding.check_result
            ))),
        }
    }
    for (index, exception) in wanted.exceptions().iter().enumerate() {
        if !used.contains(&index) {
            violations.push(Violation(format!(
                "{}: the hardening checker does not complain of {}; remove the exception",
                exception.at, exception.name
            )));
        }
    }
    HardeningScore {
        passed: findings
            .iter()
            .filter(|finding| finding.check_result_bool)
            .count(),
        total: findings.len(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const CONFIGURATION: &str = "#\n# Automatically generated file\n#\nCONFIG_NET=y\n# CONFIG_FB is not set\nCONFIG_LSM=\"lockdown,bpf\"\nCONFIG_HZ=250\nCONFIG_NVME=m\nCONFIG_EXTRA=y\n";
    const SYMBOLS: &str = "DEVMEM\nFB\nHZ\nLKDTM\nLSM\nNET\nNVME\n";
    const HARDENING: &str = r#"[
        {"option_name": "CONFIG_BUG", "desired_val": "y", "check_result": "OK", "check_result_bool": true},
        {"option_name": "CONFIG_CFI_CLANG", "desired_val": "y", "check_result": "FAIL: is not found", "check_result_bool": false},
        {"option_name": "CONFIG_LSM", "desired_val": "*lockdown*", "check_result": "OK", "check_result_bool": true},
        {"option_name": "CONFIG_LSM", "desired_val": "*selinux*", "check_result": "FAIL: not in", "check_result_bool": false}
    ]"#;

    fn wanted() -> Wanted {
        let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/good/base");
        Wanted::read(&[base]).unwrap()
    }

    fn complaints(configuration: &str, symbols: &str, hardening: &str) -> Vec<String> {
        let facts = Facts {
            configuration,
            symbols,
            hardening,
        };
        match CheckedConfiguration::check(&wanted(), &facts) {
            Ok(_) => Vec::new(),
            Err(violations) => violations.list().iter().map(Violation::to_string).collect(),
        }
    }

    #[test]
    fn what_was_asked_is_accepted() {
        let facts = Facts {
            configuration: CONFIGURATION,
            symbols: SYMBOLS,
            hardening: HARDENING,
        };
        let checked = CheckedConfiguration::check(&wanted(), &facts).unwrap();
        assert_eq!(checked.options(), 3);
        assert_eq!(checked.score().to_string(), "2 of 4");
        assert_eq!(checked.text(), CONFIGURATION);
    }

    #[test]
    fn a_request_that_did_not_take_is_named_with_its_reason() {
        for (from, to, cause) in [
            (
                "CONFIG_NET=y\n",
                "",
                "CONFIG_NET=y did not take: it is not set; something that it depends on is off (wanted because: Everything talks.)",
            ),
            (
                "CONFIG_NET=y\n",
                "CONFIG_NET=m\n",
                "CONFIG_NET=y did not take: it is m",
            ),
            (
                "CONFIG_NVME=m\n",
                "CONFIG_NVME=y\n",
                "CONFIG_NVME=m did not take: it is y",
            ),
            ("=250\n", "=100\n", "CONFIG_HZ=250 did not take: it is 100"),
            ("lockdown,bpf", "bpf", "did not take: it is \"bpf\""),
            (
                "# CONFIG_FB is not set\n",
                "CONFIG_FB=y\n",
                "CONFIG_FB=n did not take: it is y; another option selects it",
            ),
        ] {
            let found = complaints(&CONFIGURATION.replace(from, to), SYMBOLS, HARDENING);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].contains(cause), "{found:?}");
            assert!(found[0].contains("10-one.config:"), "{found:?}");
        }
    }

    #[test]
    fn what_is_forbidden_and_on_is_named_with_its_reason() {
        let found = complaints(
            &format!("{CONFIGURATION}CONFIG_DEVMEM=m\n"),
            SYMBOLS,
            HARDENING,
        );
        assert_eq!(found.len(), 1);
        assert!(
            found[0].contains("forbidden.options:2: CONFIG_DEVMEM is on"),
            "{found:?}"
        );
        assert!(found[0].contains("Memory is the kernel's."), "{found:?}");
    }

    #[test]
    fn names_that_the_kernel_no_longer_knows_are_refused() {
        let without_net = CONFIGURATION.replace("CONFIG_NET=y\n", "");
        let found = complaints(&without_net, "DEVMEM\nFB\nHZ\nLSM\nNVME\n", HARDENING);
        assert_eq!(found.len(), 2);
        assert!(
            found[0].contains("this kernel has no such option"),
            "{found:?}"
        );
        assert!(
            found[1].contains("CONFIG_LKDTM guards against nothing"),
            "{found:?}"
        );
    }

    #[test]
    fn findings_of_the_checker_and_exceptions_must_match() {
        let worse = HARDENING.replacen(
            "\"OK\", \"check_result_bool\": true",
            "\"FAIL\", \"check_result_bool\": false",
            1,
        );
        let found = complaints(CONFIGURATION, SYMBOLS, &worse);
        assert_eq!(found.len(), 1);
        assert!(
            found[0].starts_with("CONFIG_BUG: the hardening checker would have it \"y\""),
            "{found:?}"
        );
        let better = HARDENING.replace(
            "\"*selinux*\", \"check_result\": \"FAIL: not in\", \"check_result_bool\": false",
            "\"*selinux*\", \"check_result\": \"OK\", \"check_result_bool\": true",
        );
        let found = complaints(CONFIGURATION, SYMBOLS, &better);
        assert_eq!(found.len(), 1);
        assert!(
            found[0].contains("does not complain of CONFIG_LSM"),
            "{found:?}"
        );
        assert_eq!(complaints(CONFIGURATION, SYMBOLS, "[]").len(), 2);
        assert_eq!(complaints(CONFIGURATION, SYMBOLS, "oops").len(), 3);
    }
}
