//! Whether a binary stands alone: no program interpreter, no needed libraries.

use anyhow::{Context, Result, ensure};

const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const DT_NEEDED: u64 = 1;

/// What a 64-bit little-endian ELF file asks of the system that runs it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Needs {
    /// It names a program interpreter.
    pub(crate) interpreter: bool,
    /// How many shared libraries it names.
    pub(crate) libraries: usize,
}

// === impl Needs ===

impl Needs {
    /// Reads the program headers and the dynamic section.
    pub(crate) fn of(file: &[u8]) -> Result<Self> {
        ensure!(
            file.starts_with(b"\x7fELF\x02\x01"),
            "not a 64-bit little-endian ELF file"
        );
        let table = usize::try_from(word(file, 32)?)?;
        let size = usize::from(half(file, 54)?);
        let count = usize::from(half(file, 56)?);
        let mut needs = Self {
            interpreter: false,
            libraries: 0,
        };
        for header in (0..count).map(|index| table + index * size) {
            let kind = u32::try_from(word(file, header)? & 0xffff_ffff)?;
            let (offset, length) = (word(file, header + 8)?, word(file, header + 32)?);
            match kind {
                PT_INTERP => needs.interpreter = true,
                PT_DYNAMIC => {
                    let section = usize::try_from(offset)?;
                    let entries = usize::try_from(length)? / 16;
                    for entry in (0..entries).map(|index| section + index * 16) {
                        needs.libraries += usize::from(word(file, entry)? == DT_NEEDED);
                    }
                }
                _ => {}
            }
        }
        Ok(needs)
    }
}

fn word(file: &[u8], at: usize) -> Result<u64> {
    let bytes = file.get(at..at + 8).context("cut short")?;
    Ok(u64::from_le_bytes(bytes.try_into()?))
}

fn half(file: &[u8], at: usize) -> Result<u16> {
    let bytes = file.get(at..at + 2).context("cut short")?;
    Ok(u16::from_le_bytes(bytes.try_into()?))
}

#[cfg(test)]
mod tests {
    use super::Needs;

    #[test]
    fn this_test_needs_an_interpreter_and_libraries() {
        let this = std::env::current_exe().expect("a path");
        let needs = Needs::of(&fs_err::read(this).expect("readable")).expect("an ELF file");
        assert!(needs.interpreter && needs.libraries > 0, "{needs:?}");
    }

    #[test]
    fn what_is_cut_short_is_an_error() {
        let this = fs_err::read(std::env::current_exe().expect("a path")).expect("readable");
        assert!(Needs::of(&this[..60]).is_err());
        assert!(Needs::of(b"#!/bin/sh").is_err());
    }
}
