use bastide_vm::{Accelerator, Configuration, Disk, Firmware, rescue};
use std::path::PathBuf;
use std::time::Duration;
fn main() {
    let mut args = std::env::args().skip(1);
    let images = PathBuf::from(args.next().unwrap());
    let disk = PathBuf::from(args.next().unwrap());
    let task = std::fs::read_to_string(args.next().unwrap()).unwrap();
    let suspects: Vec<Disk> = args.map(|path| Disk::Image(PathBuf::from(path))).collect();
    let firmware = Firmware {
        code: images.join("OVMF_CODE.fd"),
        variables: images.join("OVMF_VARS.fd"),
    };
    let mut machine = Configuration::new("rescue", firmware, Accelerator::Tcg);
    machine.record = Some(PathBuf::from("/work/w/rescue-record"));
    match rescue::run(machine, &disk, &task, &suspects, Duration::from_secs(600)) {
        Ok(text) => println!("{text}"),
        Err(error) => println!("ERROR {error:?}"),
    }
}
