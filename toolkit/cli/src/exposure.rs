//! `./bastide exposure`: how exposed each service is by its definition.

use std::process::ExitCode;

use anyhow::bail;
use bastide_services::catalogue;
use bastide_services::exposure::{self, Exposure};

use crate::context::Context;
use crate::print;

/// Arguments of `exposure`.
#[derive(clap::Args)]
pub struct Arguments {
    /// The product: a directory below products/
    #[arg(long, default_value = "demo")]
    product: String,
    /// One service alone, with every item that is scored
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// Print JSON instead
    #[arg(long)]
    json: bool,
    /// Print the page of the book instead: the services of all products
    #[arg(long, conflicts_with_all = ["json", "service", "product"])]
    markdown: bool,
}

/// Prints the table.
///
/// # Errors
/// When a definition is wrong, or the product has no such service.
pub fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<ExitCode> {
    if arguments.markdown {
        print::text(&exposure::page(&context.tree)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let services = catalogue::of_product(&context.tree, &arguments.product)?;
    let wanted = |name: &str| arguments.service.as_ref().is_none_or(|only| only == name);
    let exposures: Vec<Exposure> = services
        .iter()
        .filter(|defined| wanted(defined.service.name.as_str()))
        .map(|defined| Exposure::of(&defined.service))
        .collect();
    if let (Some(name), []) = (&arguments.service, exposures.as_slice()) {
        bail!(
            "{} has no service {name}; ./bastide exposure --product {} lists them",
            arguments.product,
            arguments.product
        );
    }
    if arguments.json {
        print::text(&(serde_json::to_string_pretty(&exposures)? + "\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let sheets: Vec<String> = exposures
        .iter()
        .map(|exposure| exposure::sheet(exposure, arguments.service.is_some()))
        .collect();
    match arguments.service {
        Some(_) => print::text(&sheets.concat())?,
        None => {
            let summary = exposure::summary(&exposures);
            print::text(&format!("{summary}\n{}", sheets.join("\n")))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
