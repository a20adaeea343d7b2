//! `./bastide graph`: who may call whom, and what each service may touch.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use bastide_services::catalogue;
use bastide_services::graph::{self, Graph};

use crate::context::Context;
use crate::print;

/// Arguments of `graph`.
#[derive(clap::Args)]
pub struct Arguments {
    /// The product: a directory below products/
    #[arg(long, default_value = "demo")]
    product: String,
    /// Write a picture into this file instead
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    svg: Option<PathBuf>,
    /// Print JSON instead
    #[arg(long)]
    json: bool,
}

/// Prints or draws what the definitions say.
///
/// # Errors
/// When a definition is wrong, or the picture cannot be written.
pub fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<ExitCode> {
    let services = catalogue::of_product(&context.tree, &arguments.product)?;
    let graph = Graph::new(&arguments.product, &services);
    if let Some(file) = &arguments.svg {
        std::fs::write(file, graph::svg(&graph))
            .with_context(|| format!("writing {}", file.display()))?;
        println!("{}", file.display());
    } else if arguments.json {
        print::text(&(serde_json::to_string_pretty(&graph)? + "\n"))?;
    } else {
        print::text(&graph::text(&graph))?;
    }
    Ok(ExitCode::SUCCESS)
}
