//! Memory: code of its own, and all of it.

use anyhow::Result;
use memmap2::MmapMut;

/// Writes bytes and makes them executable, as injected code needs it. Nothing is run.
pub fn write_execute() -> Result<()> {
    const RETURN: u8 = 0xc3;
    let mut memory = MmapMut::map_anon(4096)?;
    memory[0] = RETURN;
    memory.make_exec()?;
    Ok(())
}

/// Takes memory, and uses it, far beyond what any service is granted.
pub fn hog() -> Result<()> {
    const CHUNK: usize = 1 << 20;
    const MUCH: usize = 640;
    let mut taken = Vec::new();
    for number in 0..MUCH {
        let mut chunk = MmapMut::map_anon(CHUNK)?;
        for page in chunk.chunks_mut(4096) {
            page[0] = u8::try_from(number % 251)?;
        }
        taken.push(chunk);
    }
    println!("{} MiB", taken.len());
    Ok(())
}
