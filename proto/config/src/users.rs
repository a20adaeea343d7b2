//! The users of the Core, allocated once and for all.
//!
//! A uid is part of what a measured Core means, so it is fixed in this table
//! rather than given out on the running machine:
//!
//! - 0 is the kernel's and PID 1's. A service has it only with a `user-why`.
//! - 500 to 899 are the Core's own services, one user for each service so that
//!   none may signal or trace another. Given out in the order of their coming,
//!   never reused, never renumbered.
//! - 900 to 999 are for services of derived products.
//! - 1000 and above are for what later runs in cages.
//!
//! The group of a user has its name and number.

use std::fmt;

/// The user that PID 1 runs as.
pub const ROOT: &str = "root";

/// All users but root, by uid.
const ALLOCATION: &[(u32, &str)] = &[
    (501, "console-serial"),
    (502, "console-screen"),
    (503, "log"),
    // Of the product for the test bench.
    (980, "hostile"),
    (981, "hostile-caller"),
    (982, "hostile-granted"),
    (983, "hostile-bomb"),
    (984, "hostile-hog"),
    (985, "hostile-filler"),
    (986, "hostile-flood"),
    (987, "hostile-unsealer"),
    (988, "hostile-auditor"),
    (989, "hostile-killer"),
];

/// A user of the Core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct User {
    name: &'static str,
    uid: u32,
}

impl User {
    /// Looks a user up.
    ///
    /// # Errors
    /// Lists the users there are.
    pub fn named(name: &str) -> Result<Self, String> {
        if name == ROOT {
            return Ok(Self { name: ROOT, uid: 0 });
        }
        ALLOCATION
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(uid, name)| Self { name, uid: *uid })
            .ok_or_else(|| {
                let known: Vec<&str> = ALLOCATION.iter().map(|(_, name)| *name).collect();
                format!(
                    "`{}` is no allocated user; allocate one in proto/config/src/users.rs (there are: {})",
                    name.escape_debug(),
                    known.join(", ")
                )
            })
    }

    /// All allocated users, root left out.
    pub fn all() -> impl Iterator<Item = Self> {
        ALLOCATION
            .iter()
            .map(|(uid, name)| Self { name, uid: *uid })
    }

    /// The user's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.name
    }

    /// The user's number, which is its group's too.
    #[must_use]
    pub fn uid(self) -> u32 {
        self.uid
    }

    /// Whether this is root.
    #[must_use]
    pub fn is_root(self) -> bool {
        self.uid == 0
    }
}

impl fmt::Display for User {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_user_has_a_number_and_name_of_its_own() {
        let uids: BTreeSet<u32> = ALLOCATION.iter().map(|(uid, _)| *uid).collect();
        let names: BTreeSet<&str> = ALLOCATION.iter().map(|(_, name)| *name).collect();
        assert_eq!(uids.len(), ALLOCATION.len());
        assert_eq!(names.len(), ALLOCATION.len());
        for (uid, name) in ALLOCATION {
            assert!((500..1000).contains(uid), "{name}");
            crate::name::check_name(name).expect("a name");
        }
    }

    #[test]
    fn an_unknown_user_is_an_error_that_lists_the_known() {
        let error = User::named("nobody").expect_err("not allocated");
        assert!(error.contains("console-serial"), "{error}");
        assert!(User::named(ROOT).expect("root").is_root());
    }
}
