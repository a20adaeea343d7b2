//! `./bastide manual`: shell completion and man pages, generated from the command line itself.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::CommandFactory;

/// Arguments of `manual`.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Print the completion script of a shell: `source <(./bastide manual completion bash)`
    Completion {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write one man page per subcommand into a directory
    Pages {
        /// The directory, made if need be
        directory: PathBuf,
    },
}

/// Prints or writes what was asked for.
///
/// # Errors
/// When the directory or a page cannot be written.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut command = crate::Cli::command();
    match &arguments.what {
        What::Completion { shell } => {
            clap_complete::generate(*shell, &mut command, "bastide", &mut std::io::stdout());
        }
        What::Pages { directory } => {
            std::fs::create_dir_all(directory)
                .with_context(|| format!("making {}", directory.display()))?;
            clap_mangen::generate_to(command, directory)
                .with_context(|| format!("writing man pages into {}", directory.display()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
