//! A Debian repository of checked packages, so that apt and mmdebstrap need no
//! network and can take nothing else.

use std::fs;
use std::path::Path;

use bastide_recipe::sha256_of_file;

use crate::definition::Debian;
use crate::lock::Package;
use crate::store::Store;
use crate::{Error, program};

/// Makes a repository in `directory` from packages of the store.
pub(crate) fn create(
    directory: &Path,
    debian: &Debian,
    store: &Store,
    packages: &[&Package],
) -> Result<(), Error> {
    let pool = directory.join("pool");
    let suite = directory.join("dists").join(&debian.release);
    let part = format!("main/binary-{}", debian.architecture);
    for path in [&pool, &suite.join(&part)] {
        fs::create_dir_all(path).map_err(Error::file("create", path))?;
    }
    let mut index = String::new();
    for package in packages {
        let file = store.path_of(package);
        let found = sha256_of_file(&file)?;
        if found != package.sha256 {
            return Err(Error::Hash {
                path: file,
                expected: package.sha256.clone(),
                found,
            });
        }
        let copy = pool.join(package.file_name());
        // A hard link where the file systems allow.
        if fs::hard_link(&file, &copy).is_err() {
            fs::copy(&file, &copy).map_err(Error::file("copy", &file))?;
        }
        let control = program::output("dpkg-deb", "dpkg", |command| {
            command.arg("--field").arg(&file)
        })?;
        index.push_str(String::from_utf8_lossy(&control).trim_end());
        index.push_str(&format!(
            "\nFilename: pool/{}\nSize: {}\nSHA256: {}\n\n",
            package.file_name(),
            package.size,
            package.sha256
        ));
    }
    let packages_file = suite.join(&part).join("Packages");
    fs::write(&packages_file, &index).map_err(Error::file("write", &packages_file))?;
    let release = format!(
        "Origin: Bastide\nSuite: {0}\nCodename: {0}\nArchitectures: {1}\nComponents: main\n\
         SHA256:\n {2} {3} {part}/Packages\n",
        debian.release,
        debian.architecture,
        sha256_of_file(&packages_file)?,
        index.len(),
    );
    let release_file = suite.join("Release");
    fs::write(&release_file, release).map_err(Error::file("write", &release_file))
}
