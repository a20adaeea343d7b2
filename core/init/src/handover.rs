//! The way from PID 1 to the stage: the settings, and the sockets of the service.
//!
//! One packet on a socket pair that is the stage's standard input. The kernel gives
//! the descriptors in it the lowest free numbers, which are those that
//! sd_listen_fds(3) promises: 3, 4 and so on. The settings come last, in a file
//! without name, so that PID 1 never waits for the stage to read.

use std::fs::File;
use std::io::{IoSlice, IoSliceMut, Read, Seek, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use anyhow::{Context, Result, ensure};
use rustix::cmsg_space;
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg,
    sendmsg, socketpair,
};
use rustix::stdio::stdin;

use crate::settings::{SIZE_LIMIT, Settings};

/// The first descriptor passed to a service (`SD_LISTEN_FDS_START`).
const FIRST: i32 = 3;

/// The most that a service is passed, the settings included.
const MOST: usize = 64;

/// Packs the settings and sockets up: what is returned becomes the stage's
/// standard input.
///
/// # Errors
/// When the kernel refuses, or there are too many sockets.
pub fn pack(settings: &Settings, sockets: &[BorrowedFd<'_>]) -> Result<OwnedFd> {
    ensure!(
        sockets.len() < MOST,
        "{} sockets are too many",
        sockets.len()
    );
    let mut file = File::from(memfd_create("settings", MemfdFlags::CLOEXEC)?);
    file.write_all(&settings.to_json()?)?;
    file.rewind()?;
    let flags = SocketFlags::CLOEXEC;
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    let mut passed = sockets.to_vec();
    passed.push(file.as_fd());
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    ensure!(
        control.push(SendAncillaryMessage::ScmRights(&passed)),
        "no room for the descriptors"
    );
    sendmsg(
        &ours,
        &[IoSlice::new(b"!")],
        &mut control,
        SendFlags::DONTWAIT,
    )?;
    Ok(theirs)
}

/// Takes the settings and sockets from standard input. The sockets still close on
/// execution.
///
/// # Errors
/// When they are not what [`pack`] packs.
pub fn unpack() -> Result<(Settings, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let received = recvmsg(
        stdin(),
        &mut [IoSliceMut::new(&mut byte)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )
    .context("cannot receive the settings")?;
    ensure!(
        !received.flags.contains(ReturnFlags::CTRUNC),
        "not all descriptors came through"
    );
    let mut passed: Vec<OwnedFd> = control
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
            _ => None,
        })
        .flatten()
        .collect();
    for (number, descriptor) in (FIRST..).zip(&passed) {
        ensure!(
            descriptor.as_raw_fd() == number,
            "descriptor {number} is taken already"
        );
    }
    let file = passed.pop().context("no settings came")?;
    let mut json = Vec::new();
    File::from(file)
        .take(SIZE_LIMIT)
        .read_to_end(&mut json)
        .context("cannot read the settings")?;
    let settings = serde_json::from_slice(&json).context("cannot understand the settings")?;
    Ok((settings, passed))
}
