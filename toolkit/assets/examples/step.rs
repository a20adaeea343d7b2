//! Makes an SDK and runs a script in it, to try out what a step will find:
//! `cargo run -p bastide-assets --example step -- CACHE SDK SCRIPT`. Needs the
//! sandbox helper: `cargo build -p bastide-recipe`.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bastide_assets::{Assets, Options};
use bastide_recipe::{Engine, SdkName, Sdks, Step};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or("usage: step CACHE SDK SCRIPT");
    let (cache, sdk, script) = (PathBuf::from(next()?), next()?, next()?);
    let assets = Assets::open(Options {
        tree: std::env::current_dir()?,
        cache: cache.clone(),
        mirror: None,
        locked: true,
    })?;
    let start = Instant::now();
    let made = assets
        .sdk(&SdkName::new(&sdk))
        .map_err(|error| error as Box<dyn Error>)?;
    println!("{} after {:?}", made.directory.display(), start.elapsed());
    let target = std::env::current_exe()?;
    let helper = target
        .ancestors()
        .nth(2)
        .ok_or("no target directory")?
        .join("bastide-sandbox");
    let engine = Engine::builder(&cache, vec![helper.into()], Box::new(assets)).build();
    let output = engine.run(&Step {
        name: "try".into(),
        sdk: SdkName::new(sdk),
        script,
        inputs: Vec::new(),
        environment: BTreeMap::new(),
        expected: Duration::from_secs(1),
    })?;
    let log = output.directory.with_file_name("log");
    print!("{}", std::fs::read_to_string(log)?);
    println!("{} in {:.1} s", output.directory.display(), output.seconds);
    Ok(())
}
