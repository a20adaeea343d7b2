//! Address families by name (socket(2), address_families(7)).

use std::fmt;

/// Name and number of those that a definition may grant (linux/socket.h). What
/// no service could need is left out, so that it cannot be granted by mistake.
const FAMILIES: [(&str, u16); 8] = [
    ("unix", 1),
    ("inet", 2),
    ("inet6", 10),
    ("netlink", 16),
    ("packet", 17),
    ("alg", 38),
    ("vsock", 40),
    ("xdp", 44),
];

/// One address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AddressFamily(usize);

impl AddressFamily {
    /// Looks a family up by its name.
    ///
    /// # Errors
    /// Lists the families there are.
    pub fn named(name: &str) -> Result<Self, String> {
        FAMILIES
            .iter()
            .position(|(known, _)| *known == name)
            .map(Self)
            .ok_or_else(|| {
                let known = FAMILIES.map(|(name, _)| name).join(", ");
                format!(
                    "`{}` is no address family that can be granted (there are: {known})",
                    name.escape_debug()
                )
            })
    }

    /// The family's number.
    #[must_use]
    pub fn number(self) -> u16 {
        FAMILIES[self.0].1
    }

    /// Whether sockets of it carry traffic of the network.
    #[must_use]
    pub fn is_of_the_network(self) -> bool {
        matches!(FAMILIES[self.0].0, "inet" | "inet6" | "packet" | "xdp")
    }
}

impl fmt::Display for AddressFamily {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(FAMILIES[self.0].0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_kernels() {
        for (name, number) in [("unix", 1), ("inet6", 10), ("netlink", 16), ("vsock", 40)] {
            let family = AddressFamily::named(name).expect(name);
            assert_eq!(family.number(), number);
            assert_eq!(family.to_string(), name);
        }
        assert!(
            AddressFamily::named("AF_UNIX")
                .expect_err("no")
                .contains("unix")
        );
        assert!(
            AddressFamily::named("inet")
                .expect("inet")
                .is_of_the_network()
        );
        assert!(
            !AddressFamily::named("unix")
                .expect("unix")
                .is_of_the_network()
        );
    }
}
