//! Activation: dm-integrity below, dm-crypt above.

use std::path::PathBuf;

use bastide_device_mapper::{Access, Active as Mapped, Target, activate};
use bastide_disk::DeviceNumber;
use bastide_luks_format::{
    Cipher, DATA_OFFSET, HeaderError, IntegritySuperblock, SECTOR_SIZE, SUPERBLOCK_SIZE, VolumeKey,
};

use crate::{LuksError, Volume, device::Aligned, key::KernelKey, tables, tables::Journal};

/// Sectors of 512 bytes that the device has while dm-integrity lays itself out, as in
/// cryptsetup: the size proper is only known then.
const LAYOUT_SECTORS: u64 = 8;

/// An active volume.
#[derive(Debug)]
pub struct Active {
    crypt: Mapped,
    integrity: Mapped,
    sectors: u64,
}

impl Volume {
    /// Lets dm-integrity lay itself out on the device: what it held is lost. No sector
    /// can be read before it was written once, see [`Active::wipe`].
    ///
    /// # Errors
    /// The header is not of that cipher, the device is no block device or too small, or
    /// the kernel refuses the table, which the error tells.
    pub fn initialise(&self, cipher: Cipher) -> Result<(), LuksError> {
        self.demand(cipher)?;
        // The kernel lays itself out only where zeros say that nothing is there.
        let zeros = Aligned::zeros(SECTOR_SIZE as usize);
        self.device.write_aligned(DATA_OFFSET, &zeros)?;
        self.device.sync()?;
        self.integrity_device("layout", cipher, Journal::On, LAYOUT_SECTORS)?
            .remove()?;
        self.superblock(cipher)?;
        Ok(())
    }

    /// Whether dm-integrity has laid itself out for that cipher.
    ///
    /// # Errors
    /// The device cannot be read.
    pub fn is_initialised(&self, cipher: Cipher) -> Result<bool, LuksError> {
        match self.superblock(cipher) {
            Ok(_) => Ok(true),
            Err(LuksError::Superblock { .. } | LuksError::Integrity(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Activates the volume as device `name`, over `<name>_dif` for dm-integrity. The
    /// volume must be encrypted by that cipher and no other. The key is in the calling
    /// thread's keyring until the kernel has it.
    ///
    /// # Errors
    /// The key is not the volume's, the header is not of that cipher, or the kernel
    /// refuses a table, which the error tells; no device is left then.
    pub fn activate(
        &self,
        name: &str,
        key: &VolumeKey,
        cipher: Cipher,
        journal: Journal,
    ) -> Result<Active, LuksError> {
        self.demand(cipher)?;
        if key.expose().len() != cipher.key_size() || !self.header.is_volume_key(key) {
            return Err(self.header_error(HeaderError::OtherKey));
        }
        let superblock = self.superblock(cipher)?;
        let sectors = superblock.data_sectors;
        let integrity = self.integrity_device(name, cipher, journal, sectors)?;
        match self.crypt_device(name, key, cipher, integrity.number(), sectors) {
            Ok(crypt) => Ok(Active {
                crypt,
                integrity,
                sectors,
            }),
            Err(error) => {
                integrity.remove()?;
                Err(error)
            }
        }
    }

    fn superblock(&self, cipher: Cipher) -> Result<IntegritySuperblock, LuksError> {
        let bytes = self.device.read(DATA_OFFSET, SUPERBLOCK_SIZE)?;
        let superblock =
            IntegritySuperblock::parse(bytes.bytes()).map_err(|source| LuksError::Superblock {
                path: self.device.path().to_owned(),
                source,
            })?;
        let room = (self.device.size().saturating_sub(DATA_OFFSET)) / 512;
        if u32::from(superblock.tag_size) != cipher.tag_size()
            || superblock.block_size != SECTOR_SIZE
            || superblock.data_sectors > room
        {
            return Err(LuksError::Integrity(self.device.path().to_owned()));
        }
        Ok(superblock)
    }

    fn integrity_device(
        &self,
        name: &str,
        cipher: Cipher,
        journal: Journal,
        sectors: u64,
    ) -> Result<Mapped, LuksError> {
        let parameters = tables::integrity(self.device.number()?, DATA_OFFSET, cipher, journal);
        let name = format!("{name}_dif");
        let uuid = format!("CRYPT-SUBDEV-{}-{name}", self.uuid().simple());
        let target = Target {
            kind: "integrity",
            sectors,
            parameters: &parameters,
            access: Access::ReadWrite,
        };
        Ok(activate(&name, &uuid, &target)?)
    }

    fn crypt_device(
        &self,
        name: &str,
        key: &VolumeKey,
        cipher: Cipher,
        below: DeviceNumber,
        sectors: u64,
    ) -> Result<Mapped, LuksError> {
        let kernel_key = KernelKey::add(self.uuid(), key)?;
        let parameters = tables::crypt(below, cipher, kernel_key.description());
        let target = Target {
            kind: "crypt",
            sectors,
            parameters: &parameters,
            access: Access::ReadWrite,
        };
        let uuid = format!("CRYPT-LUKS2-{}-{name}", self.uuid().simple());
        let result = activate(name, &uuid, &target);
        let revoked = kernel_key.revoke();
        let crypt = result?;
        match revoked {
            Ok(()) => Ok(crypt),
            Err(error) => {
                crypt.remove()?;
                Err(error)
            }
        }
    }
}

impl Active {
    /// Node of the device that holds the data in clear.
    pub fn path(&self) -> PathBuf {
        self.crypt.path()
    }

    /// Kernel name of that device, such as `dm-1`.
    pub fn kernel_name(&self) -> String {
        self.crypt.kernel_name()
    }

    /// Number of that device.
    pub fn number(&self) -> DeviceNumber {
        self.crypt.number()
    }

    /// Bytes of the data.
    pub fn size(&self) -> u64 {
        self.sectors * 512
    }

    /// Deactivates both devices; what was written is on the disk then.
    ///
    /// # Errors
    /// The kernel refuses, for instance because the device is mounted.
    pub fn deactivate(self) -> Result<(), LuksError> {
        self.crypt.remove()?;
        self.integrity.remove()?;
        Ok(())
    }
}
