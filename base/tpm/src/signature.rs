//! Signatures as a TPM takes them (`TPMT_SIGNATURE`, part 2, 11.3.4).

use crate::wire::Writer;

const RSASSA: u16 = 0x0014;
const ECDSA: u16 = 0x0018;
const SHA256: u16 = 0x000b;

/// An RSA signature, PKCS #1 v1.5 with SHA-256.
pub(crate) fn rsa(signature: &[u8]) -> Option<Vec<u8>> {
    if !matches!(signature.len(), 256 | 384 | 512) {
        return None;
    }
    let mut wire = Writer::new();
    wire.u16(RSASSA).u16(SHA256).sized(signature);
    Some(wire.as_slice().to_vec())
}

/// An ECDSA signature on P-256 with SHA-256, from its DER (RFC 3279, 2.2.3).
pub(crate) fn p256(der: &[u8]) -> Option<Vec<u8>> {
    let (r, s) = sequence_of_two(der)?;
    let mut wire = Writer::new();
    wire.u16(ECDSA).u16(SHA256).sized(&r).sized(&s);
    Some(wire.as_slice().to_vec())
}

/// Two integers of at most 32 bytes each: the lengths fit into one byte then.
fn sequence_of_two(der: &[u8]) -> Option<([u8; 32], [u8; 32])> {
    let [0x30, length, rest @ ..] = der else {
        return None;
    };
    if usize::from(*length) != rest.len() || rest.len() >= 0x80 {
        return None;
    }
    let (r, rest) = integer(rest)?;
    let (s, rest) = integer(rest)?;
    rest.is_empty().then_some((r, s))
}

fn integer(der: &[u8]) -> Option<([u8; 32], &[u8])> {
    let [0x02, length, rest @ ..] = der else {
        return None;
    };
    let (value, rest) = rest.split_at_checked(usize::from(*length))?;
    // A zero in front keeps a large number positive.
    let value = value.strip_prefix(&[0]).unwrap_or(value);
    let mut padded = [0; 32];
    padded
        .get_mut(32usize.checked_sub(value.len())?..)?
        .copy_from_slice(value);
    Some((padded, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_padded() {
        let der = [0x30, 8, 2, 3, 0, 0x80, 1, 2, 1, 7];
        let (r, s) = sequence_of_two(&der).unwrap();
        assert_eq!((r[30], r[31], s[31]), (0x80, 1, 7));
        assert_eq!(p256(&der).unwrap().len(), 4 + 2 * 34);
    }

    #[test]
    fn anything_else_is_refused() {
        let good = [0x30, 8, 2, 3, 0, 0x80, 1, 2, 1, 7];
        for end in 0..good.len() {
            assert!(sequence_of_two(&good[..end]).is_none());
        }
        assert!(sequence_of_two(&[&good[..], &[0]].concat()).is_none());
        let mut large = vec![0x30, 70, 2, 33];
        large.extend([1; 33]);
        large.extend([2, 33]);
        large.extend([1; 33]);
        assert!(sequence_of_two(&large).is_none());
        assert!(rsa(&[0; 255]).is_none());
    }
}
