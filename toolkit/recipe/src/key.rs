//! The key of a step: a hash over a canonical description of all it can see.

use std::collections::BTreeSet;

use crate::hash::{Fields, Memo};
use crate::{Error, Input, Source, Step, StepKey};

/// Changed when the sandbox or the layout of outputs changes what scripts see.
const FORMAT: &str = "bastide step 1";

/// An input with what identifies it; `None` for what is never part of the key.
pub(crate) struct Identified<'step> {
    pub input: &'step Input,
    pub kind: &'static str,
    pub digest: Option<String>,
}

/// Refuses names that could leave the cache or shadow one another.
pub(crate) fn check(step: &Step) -> Result<(), Error> {
    name(&step.name)?;
    let mut seen = BTreeSet::new();
    for input in &step.inputs {
        name(&input.name)?;
        if let Source::Cache { name: cache } = &input.source {
            name(cache)?;
        }
        if !seen.insert((place(&input.source), &input.name)) {
            return Err(Error::Duplicate {
                step: step.name.clone(),
                name: input.name.clone(),
            });
        }
    }
    Ok(())
}

/// The directory in which an input of that kind appears.
pub(crate) fn place(source: &Source) -> &'static str {
    match source {
        Source::Cache { .. } => "/cache",
        Source::Secret { .. } => "/secret",
        Source::Path(_) | Source::Inline(_) | Source::Output(_) | Source::Crates(..) => "/in",
    }
}

fn name(text: &str) -> Result<(), Error> {
    let good = !text.is_empty()
        && !text.starts_with('.')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if good {
        Ok(())
    } else {
        Err(Error::Name {
            name: text.to_owned(),
        })
    }
}

/// What identifies each input.
pub(crate) fn identify<'step>(
    step: &'step Step,
    memo: &mut Memo,
) -> Result<Vec<Identified<'step>>, Error> {
    step.inputs
        .iter()
        .map(|input| {
            let (kind, digest) = match &input.source {
                Source::Path(path) => ("path", Some(memo.tree(path)?)),
                Source::Inline(bytes) => {
                    let mut fields = Fields::default();
                    fields.add(bytes);
                    ("inline", Some(fields.finish()))
                }
                Source::Output(output) => ("output", Some(output.key.as_str().to_owned())),
                Source::Crates(_, key) => ("crates", Some(key.clone())),
                Source::Secret { fingerprint, .. } => ("secret", Some(fingerprint.clone())),
                Source::Cache { .. } => ("cache", None),
            };
            Ok(Identified {
                input,
                kind,
                digest,
            })
        })
        .collect()
}

/// The key of a step whose SDK and inputs are identified.
pub(crate) fn compute(step: &Step, sdk: &str, epoch: u64, inputs: &[Identified<'_>]) -> StepKey {
    let mut fields = Fields::default();
    fields.add(FORMAT);
    fields.add(&step.name);
    fields.add(&step.script);
    fields.add(sdk);
    fields.add(epoch.to_le_bytes());
    fields.add((step.environment.len() as u64).to_le_bytes());
    for (name, value) in &step.environment {
        fields.add(name);
        fields.add(value);
    }
    // The order in which a caller lists inputs is not visible inside.
    let mut ordered = inputs
        .iter()
        .filter_map(|item| Some((&item.input.name, item.kind, item.digest.as_ref()?)))
        .collect::<Vec<_>>();
    ordered.sort();
    for (name, kind, digest) in ordered {
        fields.add(name);
        fields.add(kind);
        fields.add(digest);
    }
    StepKey(fields.finish())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::SdkName;

    fn step() -> Step {
        Step {
            name: "sample".into(),
            sdk: SdkName::new("base"),
            script: "true".into(),
            inputs: vec![
                Input::new("a", Source::Inline(b"1".to_vec())),
                Input::new("b", Source::Inline(b"2".to_vec())),
            ],
            environment: BTreeMap::from([("A".into(), "b".into())]),
            expected: Duration::from_secs(1),
        }
    }

    fn key(step: &Step) -> StepKey {
        let mut memo = Memo::load(Path::new("/nonexistent"));
        let inputs = identify(step, &mut memo).unwrap();
        compute(step, "sdk", 0, &inputs)
    }

    #[test]
    fn all_that_a_script_sees_changes_the_key() {
        let original = key(&step());
        let changes: [fn(&mut Step); 7] = [
            |step| step.name.push('x'),
            |step| step.script.push('x'),
            |step| step.environment.clear(),
            |step| step.inputs[0].name.push('x'),
            |step| step.inputs[0].source = Source::Inline(b"3".to_vec()),
            |step| {
                step.inputs.pop();
            },
            |step| step.inputs[0].source = Source::Crates("/c".into(), "1".into()),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut changed = step();
            change(&mut changed);
            assert_ne!(key(&changed), original, "change {number} went unseen");
        }
    }

    #[test]
    fn nothing_else_does() {
        let mut same = step();
        same.inputs.reverse();
        same.expected = Duration::from_secs(9);
        let cache = Source::Cache { name: "c".into() };
        same.inputs.push(Input::new("c", cache));
        assert_eq!(key(&same), key(&step()));
    }

    #[test]
    fn names_cannot_leave_their_directory() {
        for bad in ["", "..", ".hidden", "a/b", "a b", "é"] {
            let mut wrong = step();
            wrong.inputs[0].name = bad.into();
            assert!(check(&wrong).is_err(), "{bad:?} was accepted");
        }
        let mut twice = step();
        twice.inputs[1].name = "a".into();
        assert!(matches!(check(&twice), Err(Error::Duplicate { .. })));
        assert!(check(&step()).is_ok());
    }
}
