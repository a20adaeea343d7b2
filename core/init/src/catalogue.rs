//! The service definitions that lie in the Core.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use bastide_config::name::ServiceName;
use bastide_config::problem::SIZE_LIMIT;
use bastide_config::service::Service;
use bastide_config::service::agreement::{Scope, disagreements};

/// Where they lie: one folder for each service.
pub const SERVICES: &str = "/usr/share/bastide/services";

/// A definition, or why there is none.
pub type Entry = (ServiceName, Result<Service, String>);

/// Reads all definitions, by name. One that is wrong is an entry that says so, and
/// keeps no other from starting.
///
/// # Errors
/// When the folder cannot be read at all.
pub fn read(folder: &Path) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let listing =
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in listing {
        let entry = entry.with_context(|| format!("cannot list {}", folder.display()))?;
        let text = entry.file_name().to_string_lossy().into_owned();
        // A folder of another name is none of ours to start; the image check refuses it.
        if let Ok(name) = ServiceName::new(&text) {
            let definition = definition(&name, &entry.path()).map_err(|error| format!("{error:#}"));
            entries.push((name, definition));
        }
    }
    entries.sort_by(|one, other| one.0.cmp(&other.0));
    refuse_disagreements(&mut entries);
    Ok(entries)
}

/// Keeps from starting what does not fit the other definitions.
fn refuse_disagreements(entries: &mut [Entry]) {
    let understood = entries.iter().filter_map(|(_, entry)| entry.as_ref().ok());
    for problem in disagreements(understood, Scope::Machine) {
        let entry = entries
            .iter_mut()
            .find(|(name, _)| *name == problem.service);
        if let Some((_, definition)) = entry {
            *definition = Err(format!("`{}`: {}", problem.key, problem.what));
        }
    }
}

fn definition(name: &ServiceName, folder: &Path) -> Result<Service> {
    let path = folder.join("service.toml");
    let limit = u64::try_from(SIZE_LIMIT)? + 1;
    let mut text = String::new();
    File::open(&path)
        .and_then(|file| file.take(limit).read_to_string(&mut text))
        .with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(
        text.len() <= SIZE_LIMIT,
        "{}: longer than {SIZE_LIMIT} bytes",
        path.display()
    );
    Ok(Service::parse(name.clone(), &path, &text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_definition_does_not_hide_the_good_ones() {
        let folder = tempfile::tempdir().expect("a folder");
        let good = "version = 1\ndescription = \"x\"\nprogram = \"/usr/lib/bastide/x\"\nuser = \"console-serial\"\nreadiness = \"started\"\nsystem-calls = [{ allow = [\"@base\"], why = \"runs and does nothing else\" }]\n";
        let lonely = format!(
            "{good}calls = [{{ interface = \"org.bastide.Nobody\", methods = [\"Answer\"], why = \"hopes for an answer\" }}]\n"
        );
        for (name, text) in [
            ("b-good", good),
            ("a-bad", "version = 2"),
            ("c-long", &"#".repeat(SIZE_LIMIT + 1)),
            ("f-lonely", &lonely),
            ("Not A Name", good),
        ] {
            fs::create_dir(folder.path().join(name)).expect("made");
            fs::write(folder.path().join(name).join("service.toml"), text).expect("written");
        }
        fs::create_dir(folder.path().join("d-empty")).expect("made");
        let entries = read(folder.path()).expect("readable");
        let seen: Vec<(&str, bool)> = entries
            .iter()
            .map(|(name, definition)| (name.as_str(), definition.is_ok()))
            .collect();
        assert_eq!(
            seen,
            [
                ("a-bad", false),
                ("b-good", true),
                ("c-long", false),
                ("d-empty", false),
                ("f-lonely", false)
            ]
        );
    }
}
