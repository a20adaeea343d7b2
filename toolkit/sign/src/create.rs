//! Makes a key set.
//!
//! The `openssl` tool makes the keys rather than a crate: every host has it, it
//! is the implementation that most eyes watch, and its random numbers and key
//! files are nobody's experiment. It runs on the host and not in a step, because
//! what a step writes is kept in the cache, where no private key may ever be.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use uuid::Uuid;

use crate::directory::{OWNER, certificate_file, key_file};
use crate::{Error, KeyDirectory, Role};

/// 30 years: nothing that boots a machine looks at the end of validity, and a
/// date that does come would only stop the owner from signing.
const VALIDITY_DAYS: &str = "10950";

const README: &str = include_str!("../keys-README.md");

/// Makes a whole set in `directory`, which must not exist yet (or be empty) and
/// must be outside of `tree`, the checkout. All or nothing: the set appears at
/// once when it is complete.
///
/// # Errors
/// When there is something already, the place is inside the checkout, or
/// `openssl` or the file system fails.
pub fn create(directory: &Path, tree: &Path) -> Result<KeyDirectory, Error> {
    let parent = directory.parent().unwrap_or(Path::new("/"));
    refuse_inside(directory, tree)?;
    if holds_something(directory)? {
        return Err(Error::Exists {
            path: directory.to_owned(),
        });
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(parent)
        .map_err(file_error("create", parent))?;

    // Mode 0700, and removed with what it holds should anything fail.
    let draft = tempfile::Builder::new()
        .prefix(".keys-")
        .tempdir_in(parent)
        .map_err(file_error("create a directory in", parent))?;
    let owner = Uuid::new_v4();
    for role in Role::ALL {
        make_key(draft.path(), role, &owner)?;
    }
    write(&draft.path().join(OWNER), &format!("{owner}\n"))?;
    write(&draft.path().join("README.md"), README)?;

    // Fails when something came to be there meanwhile, so nothing is replaced.
    let draft = draft.keep();
    if let Err(source) = fs::rename(&draft, directory) {
        fs::remove_dir_all(&draft).map_err(file_error("remove", &draft))?;
        return Err(file_error("create", directory)(source));
    }
    KeyDirectory::open(directory)
}

fn make_key(directory: &Path, role: Role, owner: &Uuid) -> Result<(), Error> {
    let key = key_file(directory, role);
    // The GUID's first digits tell sets of the same person apart.
    let set = &owner.simple().to_string()[..8];
    let output = Command::new("openssl")
        .args(["req", "-x509", "-sha256", "-noenc", "-batch"])
        .arg("-newkey")
        .arg(format!("rsa:{}", role.bits()))
        .args(["-days", VALIDITY_DAYS])
        .arg("-subj")
        .arg(format!("/O=Bastide owner {set}/CN=Bastide {role} {set}"))
        // No configuration of the host's may add anything.
        .args(["-config", "/dev/stdin"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(certificate_file(directory, role))
        .env_remove("OPENSSL_CONF")
        .stdin(configuration_file(directory)?)
        .stdout(Stdio::null())
        .output()
        .map_err(Error::OpensslMissing)?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        return Err(Error::Openssl {
            role,
            status: output.status,
            message: message.lines().last().unwrap_or_default().to_owned(),
        });
    }
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600))
        .map_err(file_error("restrict", &key))
}

/// The whole configuration of `openssl req`, opened for reading.
fn configuration_file(directory: &Path) -> Result<fs::File, Error> {
    const CONFIGURATION: &str = "\
[req]
distinguished_name = name
x509_extensions = extensions
[name]
[extensions]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = codeSigning
subjectKeyIdentifier = hash
";
    let path = directory.join(".openssl.cnf");
    write(&path, CONFIGURATION)?;
    let file = fs::File::open(&path).map_err(file_error("open", &path))?;
    fs::remove_file(&path).map_err(file_error("remove", &path))?;
    Ok(file)
}

fn refuse_inside(directory: &Path, tree: &Path) -> Result<(), Error> {
    let tree = fs::canonicalize(tree).map_err(file_error("find", tree))?;
    if resolved(directory)?.starts_with(&tree) {
        return Err(Error::InsideTree {
            path: directory.to_owned(),
            tree,
        });
    }
    Ok(())
}

/// The path without symbolic links, as far as it exists.
fn resolved(path: &Path) -> Result<PathBuf, Error> {
    let absolute = std::path::absolute(path).map_err(file_error("find", path))?;
    for ancestor in absolute.ancestors() {
        if let Ok(real) = fs::canonicalize(ancestor) {
            let rest = absolute.strip_prefix(ancestor).unwrap_or(Path::new(""));
            return Ok(real.join(rest));
        }
    }
    Ok(absolute)
}

fn holds_something(directory: &Path) -> Result<bool, Error> {
    match fs::read_dir(directory) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(file_error("look into", directory)(error)),
    }
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(file_error("write", path))
}

fn file_error(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File {
        action,
        path,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Signer;

    #[test]
    fn makes_a_closed_complete_set_once() {
        let place = tempfile::tempdir().expect("temporary directory");
        let tree = place.path().join("tree");
        fs::create_dir(&tree).expect("tree");
        let keys = place.path().join("data/keys");

        let set = create(&keys, &tree).expect("a key set");
        let fingerprints: std::collections::BTreeSet<_> = Role::ALL
            .into_iter()
            .map(|role| set.certificate(role).fingerprint())
            .collect();
        assert_eq!(fingerprints.len(), Role::ALL.len(), "keys are apart");
        for role in Role::ALL {
            let mode = fs::metadata(key_file(&keys, role))
                .expect("key")
                .permissions();
            assert_eq!(mode.mode() & 0o777, 0o600);
        }
        assert_eq!(set.owner().get_version_num(), 4);

        let before = fs::read(key_file(&keys, Role::Pk)).expect("key");
        assert!(matches!(create(&keys, &tree), Err(Error::Exists { .. })));
        assert_eq!(before, fs::read(key_file(&keys, Role::Pk)).expect("key"));
        let left = fs::read_dir(place.path().join("data"))
            .expect("data")
            .count();
        assert_eq!(left, 1, "no draft is left");

        let key = key_file(&keys, Role::Db);
        fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).expect("chmod");
        assert!(matches!(
            KeyDirectory::open(&keys),
            Err(Error::Exposed { mode: 0o640, .. })
        ));
    }

    #[test]
    fn refuses_a_place_inside_the_checkout_even_through_a_link() {
        let place = tempfile::tempdir().expect("temporary directory");
        let tree = place.path().join("tree");
        fs::create_dir(&tree).expect("tree");
        std::os::unix::fs::symlink(&tree, place.path().join("link")).expect("link");
        for inside in ["tree/keys", "link/deep/keys"] {
            let directory = place.path().join(inside);
            assert!(matches!(
                create(&directory, &tree),
                Err(Error::InsideTree { .. })
            ));
            assert!(!directory.exists());
        }
    }

    #[test]
    fn says_how_to_make_a_set_when_there_is_none() {
        let place = tempfile::tempdir().expect("temporary directory");
        let error = KeyDirectory::open(place.path()).expect_err("nothing there");
        assert!(error.to_string().contains("bastide keys init"));
    }
}
