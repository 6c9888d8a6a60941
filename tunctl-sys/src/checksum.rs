//! Sums of bytes, by a loop that is compiled for the processor at hand.
//!
//! The loop is written once, in plain Rust, by the crate that knows what it adds. This module compiles it
//! again for processors with wider vectors, and chooses.

/// A loop over bytes, without unsafe code and for any processor.
pub trait Sum {
    /// Adds up bytes.
    ///
    /// This must be `#[inline(always)]`, and all that it calls: only what is compiled into the caller is
    /// compiled for the caller's processor.
    fn sum(bytes: &[u8]) -> u64;
}

/// The function among those compiled from a loop that is fastest on this processor. All of them return the
/// same. Ask once, and keep it.
///
/// x86-64 processors with AVX2 get a loop for AVX2. Every 64-bit processor of Arm's has NEON, so there the
/// compiler uses it unasked.
///
/// ```
/// use tunctl_sys::checksum::{Sum, fastest};
///
/// struct Bytes;
///
/// impl Sum for Bytes {
///     #[inline(always)]
///     fn sum(bytes: &[u8]) -> u64 {
///         bytes.iter().copied().map(u64::from).sum()
///     }
/// }
///
/// assert_eq!(fastest::<Bytes>()(&[1; 100]), 100);
/// ```
#[must_use]
pub fn fastest<S: Sum>() -> fn(&[u8]) -> u64 {
    processor::fastest::<S>()
}

#[cfg(not(target_arch = "x86_64"))]
mod processor {
    use super::Sum;

    pub(super) fn fastest<S: Sum>() -> fn(&[u8]) -> u64 {
        S::sum
    }
}

#[cfg(target_arch = "x86_64")]
mod processor {
    #![allow(unsafe_code, reason = "a function for AVX2 must not be called on a processor without")]

    use super::Sum;

    /// Fewer bytes are added before a call would have reached the other loop.
    const FEW: usize = 128;

    pub(super) fn fastest<S: Sum>() -> fn(&[u8]) -> u64 {
        if std::arch::is_x86_feature_detected!("avx2") { checked::<S> } else { S::sum }
    }

    /// Nothing but `fastest` may name this function.
    fn checked<S: Sum>(bytes: &[u8]) -> u64 {
        if bytes.len() < FEW {
            return S::sum(bytes);
        }
        // SAFETY: the processor has AVX2, which is all that the callee asks for. This function is private,
        // and `fastest`, which alone gives it out, has found AVX2 before. A processor does not lose it.
        unsafe { avx2::<S>(bytes) }
    }

    /// # Safety
    ///
    /// The processor must have AVX2.
    #[target_feature(enable = "avx2")]
    unsafe fn avx2<S: Sum>(bytes: &[u8]) -> u64 {
        S::sum(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::{Sum, fastest};

    struct Internet;

    impl Sum for Internet {
        #[inline(always)]
        fn sum(bytes: &[u8]) -> u64 {
            tunctl_packet::offload::sum(bytes)
        }
    }

    /// What processors without wider vectors get, and what this one gets, beside a sum of 16-bit words.
    fn agree(bytes: &[u8]) {
        let words =
            bytes.chunks(2).map(|word| u16::from_ne_bytes([word[0], word.get(1).copied().unwrap_or(0)]));
        let expected = words.map(u64::from).sum::<u64>();
        let (plain, fast) = (Internet::sum(bytes), fastest::<Internet>()(bytes));
        assert_eq!(plain, fast, "{} bytes", bytes.len());
        // Equal but for carries; and zero only if all is zero.
        assert_eq!((plain % 0xffff, plain == 0), (expected % 0xffff, expected == 0), "{} bytes", bytes.len());
    }

    #[test]
    fn every_length_and_place() {
        let bytes: Vec<u8> = (0..720_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[1]).collect();
        for start in 0..16 {
            for length in 0..700 {
                agree(&bytes[start..start + length]);
            }
        }
    }

    #[test]
    fn bytes_that_carry_most_and_least() {
        for byte in [0, 1, 0xff] {
            for length in [0, 1, 127, 128, 129, 65_535, 65_536, 3_000_001] {
                agree(&vec![byte; length]);
            }
        }
    }
}
