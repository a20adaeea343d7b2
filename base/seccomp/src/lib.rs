//! System-call filters (seccomp): an allow-list, and arguments that are refused.
//!
//! A call that is not on the list ends the whole process, and the kernel records it.
//! What is listed may still be refused by its arguments, with an error, because
//! ordinary code asks for it and can do without. The filters hold for the calling
//! thread, what it executes and whatever it starts; they cannot be taken off.
//!
//! This never does: decide what a program needs, or filter by pointers, whose targets
//! can change after the check.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};

/// The namespaces that clone(2) can make (linux/sched.h). `CLONE_NEWTIME` is none of
/// them: its bit is part of the exit signal there.
const NAMESPACES: [u64; 7] = [
    0x0002_0000, // CLONE_NEWNS
    0x0200_0000, // CLONE_NEWCGROUP
    0x0400_0000, // CLONE_NEWUTS
    0x0800_0000, // CLONE_NEWIPC
    0x1000_0000, // CLONE_NEWUSER
    0x2000_0000, // CLONE_NEWPID
    0x4000_0000, // CLONE_NEWNET
];

/// Requests of ioctl(2) that type into a terminal, or change what drives it
/// (asm-generic/ioctls.h).
const TERMINAL_REQUESTS: [u64; 4] = [
    0x5412, // TIOCSTI
    0x541c, // TIOCLINUX
    0x5423, // TIOCSETD
    0x541d, // TIOCCONS
];

/// Requests of ioctl(2) by which the owner of a file moves it out of its project, and so
/// out of the quota (linux/fs.h); file_setattr(2) does the same.
const PROJECT_REQUESTS: [u64; 2] = [
    0x401c_5820, // FS_IOC_FSSETXATTR
    0x4008_6602, // FS_IOC_SETFLAGS
];

/// The requests of prctl(2) that are let through: names of threads, and giving new
/// privileges up, which loading the next filter does (linux/prctl.h).
const HARMLESS: [u64; 3] = [
    15, // PR_SET_NAME
    16, // PR_GET_NAME
    38, // PR_SET_NO_NEW_PRIVS
];

/// Why a filter cannot be made or loaded.
#[derive(Debug, thiserror::Error)]
pub enum SeccompError {
    /// The filter is not one that the kernel takes.
    #[error("cannot make the system-call filter")]
    Compile(#[from] seccompiler::BackendError),
    /// The kernel refuses.
    #[error("cannot load the system-call filter")]
    Load(#[from] seccompiler::Error),
}

/// What a process may ask of the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Numbers of the system calls that it may make, on x86-64.
    pub calls: BTreeSet<u16>,
    /// Numbers of the address families of which it may make sockets.
    pub families: BTreeSet<u16>,
}

/// Filters ready to be loaded.
#[derive(Debug)]
#[must_use]
pub struct Filters(Vec<BpfProgram>);

impl Filters {
    /// Makes the filters of a policy.
    ///
    /// # Errors
    /// When they get too long for the kernel.
    pub fn new(policy: &Policy) -> Result<Self, SeccompError> {
        let mut programs = vec![
            // Its flags are in memory and cannot be looked at; glibc then uses clone.
            refuse(libc::ENOSYS, [(libc::SYS_clone3, Vec::new())])?,
            refuse(libc::EAFNOSUPPORT, families(&policy.families)?)?,
            refuse(libc::EPERM, arguments(policy)?)?,
        ];
        let allowed = policy
            .calls
            .iter()
            .map(|call| (i64::from(*call), Vec::new()));
        // Last, because loading the others takes calls that it does not allow.
        programs.push(compile(
            allowed.collect(),
            SeccompAction::KillProcess,
            SeccompAction::Allow,
        )?);
        Ok(Self(programs))
    }

    /// Loads the filters: from here on the policy holds.
    ///
    /// # Errors
    /// When the kernel refuses one of them.
    pub fn load(self) -> Result<(), SeccompError> {
        for program in &self.0 {
            apply_filter(program)?;
        }
        Ok(())
    }
}

type Rules = (i64, Vec<SeccompRule>);

fn compile(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    on_match: SeccompAction,
) -> Result<BpfProgram, SeccompError> {
    let filter = SeccompFilter::new(rules, otherwise, on_match, TargetArch::x86_64)?;
    Ok(filter.try_into()?)
}

fn refuse(
    error: libc::c_int,
    rules: impl IntoIterator<Item = Rules>,
) -> Result<BpfProgram, SeccompError> {
    let error = SeccompAction::Errno(error.unsigned_abs());
    compile(rules.into_iter().collect(), SeccompAction::Allow, error)
}

fn argument(
    index: u8,
    length: SeccompCmpArgLen,
    operator: SeccompCmpOp,
    value: u64,
) -> Result<SeccompCondition, SeccompError> {
    Ok(SeccompCondition::new(index, length, operator, value)?)
}

/// Sockets of any family but those allowed.
fn families(allowed: &BTreeSet<u16>) -> Result<[Rules; 2], SeccompError> {
    let rule = || -> Result<Vec<SeccompRule>, SeccompError> {
        let others = allowed.iter().map(|family| {
            argument(
                0,
                SeccompCmpArgLen::Dword,
                SeccompCmpOp::Ne,
                u64::from(*family),
            )
        });
        let others: Vec<SeccompCondition> = others.collect::<Result<_, _>>()?;
        if others.is_empty() {
            // No rule at all stands for every call.
            return Ok(Vec::new());
        }
        Ok(vec![SeccompRule::new(others)?])
    };
    Ok([(libc::SYS_socket, rule()?), (libc::SYS_socketpair, rule()?)])
}

/// Namespaces made by clone(2), unless unshare(2) is allowed by name; requests that
/// would let a program act on its terminal in another's name, or keep more than its quota;
/// whatever prctl(2) does
/// besides naming threads.
fn arguments(policy: &Policy) -> Result<Vec<Rules>, SeccompError> {
    let any_of = |index, length: SeccompCmpArgLen, masked: bool, values: &[u64]| {
        let rules = values.iter().map(|value| {
            let operator = if masked {
                SeccompCmpOp::MaskedEq(*value)
            } else {
                SeccompCmpOp::Eq
            };
            let condition = argument(index, length.clone(), operator, *value)?;
            Ok(SeccompRule::new(vec![condition])?)
        });
        rules.collect::<Result<Vec<_>, SeccompError>>()
    };
    let requests = [TERMINAL_REQUESTS.as_slice(), &PROJECT_REQUESTS].concat();
    let others = HARMLESS
        .map(|request| argument(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, request))
        .into_iter()
        .collect::<Result<_, _>>()?;
    let mut all = vec![
        (
            libc::SYS_ioctl,
            any_of(1, SeccompCmpArgLen::Dword, false, &requests)?,
        ),
        (libc::SYS_prctl, vec![SeccompRule::new(others)?]),
    ];
    let unshare = u16::try_from(libc::SYS_unshare).unwrap_or(u16::MAX);
    if !policy.calls.contains(&unshare) {
        all.push((
            libc::SYS_clone,
            any_of(0, SeccompCmpArgLen::Qword, true, &NAMESPACES)?,
        ));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(calls: &[i64], families: &[u16]) -> Policy {
        Policy {
            calls: calls
                .iter()
                .map(|call| u16::try_from(*call).unwrap())
                .collect(),
            families: families.iter().copied().collect(),
        }
    }

    /// The loaded filters themselves are tried by PID 1's tests, in processes that
    /// may be ended by them.
    #[test]
    fn filters_of_all_sorts_can_be_made() {
        for calls in [&[][..], &[0, 1], &(0..380).collect::<Vec<i64>>()] {
            for families in [&[][..], &[1], &[1, 2, 10, 16]] {
                let filters = Filters::new(&policy(calls, families)).unwrap();
                assert_eq!(filters.0.len(), 4);
                assert!(filters.0.iter().all(|program| program.len() < 4096));
            }
        }
    }

    #[test]
    fn only_unshare_by_name_lifts_the_refusal_of_namespaces() {
        let with = arguments(&policy(&[libc::SYS_unshare], &[])).unwrap();
        let without = arguments(&policy(&[libc::SYS_clone], &[])).unwrap();
        let concerns = |rules: &[Rules]| rules.iter().any(|(call, _)| *call == libc::SYS_clone);
        assert!(concerns(&without) && !concerns(&with));
    }

    #[test]
    fn loading_order_lets_the_last_one_load() {
        // The allow-list does not hold what loading takes, so it must be the last.
        let filters = Filters::new(&policy(&[libc::SYS_read], &[])).unwrap();
        let killed = u32::from(SeccompAction::KillProcess);
        let kills = |program: &BpfProgram| program.iter().filter(|line| line.k == killed).count();
        let counts: Vec<usize> = filters.0.iter().map(kills).collect();
        assert!(
            counts[..3].iter().all(|count| *count < counts[3]),
            "{counts:?}"
        );
    }
}
