//! What goes into the Core of a product.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use bastide_config::name::ServiceName;
use bastide_config::product::Product;
use bastide_config::service::agreement::{Scope, disagreements};
use bastide_config::service::{PROGRAMS, Service, definition_paths};
use bastide_recipe::{Input, Source};
use bastide_rootfs::Plan;
use bastide_rootfs::hardening::{Exception, Exceptions};
use bastide_rootfs::plan::{DataOrigin, Modules, PlannedFile, PlannedLink, Program};

use crate::Error;
use crate::cargo::Workspace;
use crate::error::read;
use crate::text;

/// The step that builds the programs of the Core.
pub(crate) const PROGRAMS_STEP: &str = "core-programs";
/// The step that signs kernel modules.
pub(crate) const MODULES_STEP: &str = "kernel-modules";

/// Mount points: everything that is writable at run time lies below one of them.
const DIRECTORIES: [&str; 7] = ["dev", "etc", "proc", "run", "sys", "tmp", "var"];

/// The merged /usr, as far as the dynamic loader's fixed path needs it.
const LINKS: [(&str, &str); 3] = [
    ("lib", "usr/lib"),
    ("lib64", "usr/lib64"),
    ("etc/os-release", "../usr/lib/os-release"),
];

/// What a product's Core is made of.
#[derive(Debug)]
pub(crate) struct Contents {
    /// Crates whose programs are in it.
    pub packages: Vec<String>,
    /// What the composing step reads besides programs and modules.
    pub inputs: Vec<Input>,
    /// What it is told.
    pub plan: Plan,
}

/// Gathers the contents: PID 1, the programs of the product's services, their
/// definitions, and what the Core knows of itself. `modules`: the kernel's release,
/// when it has modules.
///
/// # Errors
/// When a service has no definition, or a wrong one.
pub(crate) fn contents(
    tree: &Path,
    product: &Product,
    workspace: &Workspace,
    modules: Option<&str>,
) -> Result<Contents, Error> {
    let mut plan = Plan {
        directories: DIRECTORIES.map(str::to_owned).to_vec(),
        links: LINKS
            .iter()
            .map(|(at, to)| PlannedLink {
                at: (*at).to_owned(),
                to: (*to).to_owned(),
            })
            .collect(),
        packages: product
            .packages
            .iter()
            .map(|package| package.name.clone())
            .collect(),
        exceptions: exceptions(tree, product)?,
        modules: modules.map(|release| Modules {
            from: format!("/in/modules/usr/lib/modules/{release}"),
            to: format!("usr/lib/modules/{release}"),
            step: MODULES_STEP.to_owned(),
        }),
        ..Plan::default()
    };
    let definition = format!("products/{}/product.toml", product.name);
    let mut inputs = Vec::new();
    let rendered = [
        (
            "os-release",
            "usr/lib/os-release",
            text::os_release(product),
        ),
        (
            "product.json",
            bastide_config::product_info::PATH.trim_start_matches('/'),
            product.info().to_json(),
        ),
    ];
    for (name, to, text) in rendered {
        inputs.push(Input::new(name, Source::Inline(text.into_bytes())));
        plan.files.push(PlannedFile {
            from: format!("/in/{name}"),
            to: to.to_owned(),
            origin: DataOrigin::Rendered(definition.clone()),
        });
    }

    let mut programs = BTreeSet::from(["init".to_owned()]);
    let mut services = Vec::new();
    for name in &product.services {
        let file = service_file(tree, &product.lineage, name)?;
        let service = Service::parse(name.clone(), &file, &read(&tree.join(&file))?)?;
        let program = service
            .program
            .strip_prefix(PROGRAMS)
            .unwrap_or(&service.program);
        programs.insert(program.display().to_string());
        let input = format!("service.{}", name.as_str());
        plan.files.push(PlannedFile {
            from: format!("/in/{input}"),
            to: format!("usr/share/bastide/services/{}/service.toml", name.as_str()),
            origin: DataOrigin::Tree(file.display().to_string()),
        });
        inputs.push(Input::new(input, Source::Path(tree.join(&file))));
        services.push(service);
    }
    // PID 1 would keep such a service from starting; better not to ship it.
    if let Some(problem) = disagreements(&services, Scope::Machine).into_iter().next() {
        return Err(Error::Disagreement {
            service: problem.service.to_string(),
            key: problem.key,
            what: problem.what,
        });
    }

    let mut packages = Vec::new();
    for program in programs {
        // The program /usr/lib/bastide/<name> is of the crate bastide-<name>.
        let package = format!("bastide-{program}");
        plan.programs.push(Program {
            from: format!("/in/programs/bin/{}", workspace.program(&package)?),
            to: format!("{}{program}", PROGRAMS.trim_start_matches('/')),
            package: package.clone(),
            step: PROGRAMS_STEP.to_owned(),
        });
        packages.push(package);
    }
    Ok(Contents {
        packages,
        inputs,
        plan,
    })
}

/// The definition of a service, relative to the tree.
fn service_file(tree: &Path, lineage: &[String], name: &ServiceName) -> Result<PathBuf, Error> {
    definition_paths(lineage, name)
        .into_iter()
        .find(|file| tree.join(file).is_file())
        .ok_or_else(|| Error::NoService {
            name: name.to_string(),
        })
}

/// The exceptions from hardening of a product and of those it extends.
fn exceptions(tree: &Path, product: &Product) -> Result<Vec<Exception>, Error> {
    let mut all = BTreeMap::new();
    for name in &product.lineage {
        let path = tree.join("products").join(name).join("hardening.toml");
        if !path.exists() {
            continue;
        }
        let exceptions = Exceptions::parse(&read(&path)?).map_err(|source| Error::Toml {
            path: path.clone(),
            source,
        })?;
        for exception in exceptions.exception {
            all.insert((exception.file.clone(), exception.property), exception);
        }
    }
    Ok(all.into_values().collect())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn tree() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    #[test]
    fn every_service_of_the_demo_has_its_program_and_definition() {
        let tree = tree();
        let product = crate::materials::tests::product("demo");
        let workspace = Workspace::read(&tree).expect("workspace");
        let contents = contents(&tree, &product, &workspace, None).expect("contents");
        assert!(contents.packages.contains(&"bastide-init".to_owned()));
        for service in &product.services {
            let to = format!(
                "usr/share/bastide/services/{}/service.toml",
                service.as_str()
            );
            assert!(contents.plan.files.iter().any(|file| file.to == to), "{to}");
        }
        // Each planned file is one that the step is given.
        for file in &contents.plan.files {
            let name = file.from.trim_start_matches("/in/");
            assert!(
                contents.inputs.iter().any(|input| input.name == name),
                "{name}"
            );
        }
    }

    #[test]
    fn the_test_benchs_log_differs_from_the_cores_in_whom_it_lets_in_alone() {
        let tree = tree();
        let lineage = ["demo", "later"].map(str::to_owned);
        let log = ServiceName::new("log").expect("a name");
        let file = service_file(&tree, &lineage, &log).expect("defined");
        assert!(file.starts_with("products/later"), "{}", file.display());
        let read = |file: &Path| -> toml::Table {
            let text = fs::read_to_string(tree.join(file)).expect("readable");
            let mut table: toml::Table = text.parse().expect("TOML");
            assert!(table.remove("serves").is_some());
            table
        };
        assert_eq!(read(&file), read(Path::new("core/log/service.toml")));
        let file = service_file(&tree, &lineage[..1], &log).expect("defined");
        assert!(file.starts_with("core"), "{}", file.display());
    }

    #[test]
    fn a_service_without_definition_is_named() {
        let name = ServiceName::new("no-such-service").expect("a name");
        let error = service_file(&tree(), &[], &name).expect_err("absent");
        assert!(
            error
                .to_string()
                .contains("core/no-such-service/service.toml")
        );
    }
}
