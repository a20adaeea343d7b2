//! `./bastide keys`: the owner's keys.

use std::path::PathBuf;
use std::process::ExitCode;

use bastide_sign::{KeyDirectory, Role, Signer};

use crate::context::Context;

/// What to do with the keys.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Make PK, KEK, db, image and PCR keys apart; never replaces a set that exists
    Init {
        /// Where to make them [default: the directory that builds use]
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Print the owner's GUID and the certificates' SHA-256 fingerprints
    Show,
}

/// Runs the subcommand.
///
/// # Errors
/// When there is a set where one is to be made, none where one is to be shown, or a file
/// cannot be read or written.
pub fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<ExitCode> {
    match &arguments.action {
        Action::Init { out } => {
            let directory = match out {
                Some(directory) => std::path::absolute(directory)?,
                None => context.keys.clone(),
            };
            let keys = bastide_sign::create(&directory, &context.tree)?;
            show(&keys);
            eprintln!(
                "made in {}; its README.md says where each key belongs",
                directory.display()
            );
        }
        Action::Show => show(&KeyDirectory::open(&context.keys)?),
    }
    Ok(ExitCode::SUCCESS)
}

fn show(keys: &KeyDirectory) {
    println!("owner {}", keys.owner());
    for role in Role::ALL {
        println!("{role:<5} {}", keys.certificate(role).fingerprint());
    }
}
