//! Variables as efivarfs shows them: a file `<name>-<guid>` whose first four bytes
//! are the attributes.

use std::fmt;

use uuid::{Uuid, uuid};

/// Where the kernel shows EFI variables.
pub const EFIVARFS: &str = "/sys/firmware/efi/efivars";

/// Vendor of the variables that the UEFI specification defines: SecureBoot,
/// SetupMode, PK, KEK.
pub const GLOBAL_VARIABLES: Uuid = uuid!("8be4df61-93ca-11d2-aa0d-00e098032b8c");

/// Vendor of the signature databases db and dbx.
pub const SECURITY_DATABASE: Uuid = uuid!("d719b2cb-3d3a-4596-a3bc-dad00e67656f");

/// Name and vendor of a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VariableName {
    /// Name, plain ASCII.
    pub name: &'static str,
    /// Vendor GUID.
    pub vendor: Uuid,
}

impl VariableName {
    /// Whether firmware checks signatures: one byte, 0 or 1.
    pub const SECURE_BOOT: Self = Self::global("SecureBoot");
    /// Whether anyone may enrol keys: one byte, 0 or 1.
    pub const SETUP_MODE: Self = Self::global("SetupMode");
    /// The platform key.
    pub const PLATFORM_KEY: Self = Self::global("PK");
    /// The key-exchange keys.
    pub const KEY_EXCHANGE_KEYS: Self = Self::global("KEK");
    /// What may boot.
    pub const ALLOWED: Self = Self {
        name: "db",
        vendor: SECURITY_DATABASE,
    };

    const fn global(name: &'static str) -> Self {
        Self {
            name,
            vendor: GLOBAL_VARIABLES,
        }
    }
}

/// The file name in efivarfs.
impl fmt::Display for VariableName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.name, self.vendor)
    }
}

/// Attributes of a variable (UEFI specification, "GetVariable()").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes(pub u32);

impl Attributes {
    /// Kept over power-off, readable by boot services and by the running system.
    pub const KEPT: Self = Self(0x1 | 0x2 | 0x4);
}

/// A variable's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable<'bytes> {
    /// Its attributes.
    pub attributes: Attributes,
    /// Its data.
    pub data: &'bytes [u8],
}

/// Why the bytes of a variable are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VariableError {
    /// Fewer bytes than attributes have.
    #[error("EFI variable has {0} bytes, too few for its attributes")]
    Short(usize),
    /// A yes-or-no variable that holds something else.
    #[error("EFI variable holds neither 0 nor 1")]
    NotBoolean,
}

impl<'bytes> Variable<'bytes> {
    /// Splits what efivarfs hands out.
    ///
    /// # Errors
    /// Fewer than four bytes.
    pub fn parse(file: &'bytes [u8]) -> Result<Self, VariableError> {
        let (attributes, data) = file
            .split_first_chunk()
            .ok_or(VariableError::Short(file.len()))?;
        Ok(Self {
            attributes: Attributes(u32::from_le_bytes(*attributes)),
            data,
        })
    }

    /// The bytes to write to efivarfs, in a single call.
    pub fn to_file(&self) -> Vec<u8> {
        let mut file = self.attributes.0.to_le_bytes().to_vec();
        file.extend_from_slice(self.data);
        file
    }

    /// The value of a yes-or-no variable such as SecureBoot.
    ///
    /// # Errors
    /// Anything but a single byte 0 or 1.
    pub fn boolean(&self) -> Result<bool, VariableError> {
        match self.data {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(VariableError::NotBoolean),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_those_of_efivarfs() {
        assert_eq!(
            VariableName::SECURE_BOOT.to_string(),
            "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
        );
        assert_eq!(
            VariableName::ALLOWED.to_string(),
            "db-d719b2cb-3d3a-4596-a3bc-dad00e67656f"
        );
    }

    #[test]
    fn attributes_come_first() {
        let variable = Variable::parse(&[6, 0, 0, 0, 1]).unwrap();
        assert_eq!(variable.attributes, Attributes(6));
        assert_eq!(variable.boolean(), Ok(true));
        assert_eq!(variable.to_file(), [6, 0, 0, 0, 1]);
        assert_eq!(Variable::parse(&[6, 0, 0]), Err(VariableError::Short(3)));
    }

    #[test]
    fn booleans_are_one_byte() {
        let boolean = |data| {
            Variable {
                attributes: Attributes(6),
                data,
            }
            .boolean()
        };
        assert_eq!(boolean(&[0]), Ok(false));
        for data in [&[][..], &[2], &[1, 0]] {
            assert_eq!(boolean(data), Err(VariableError::NotBoolean));
        }
    }
}
