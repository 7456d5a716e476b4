//! Writes a symbol blob; runs in the build, on the host.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use super::{HEADER_LEN, MAGIC, NAME_MAX, ORDER_LEN, RECORD_LEN, SYMBOLS_MAX, VERSION, header};
use crate::blob::{checksum, put};

/// A symbol to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name, by the rules in [`super::names`]; no two entries have the same.
    pub name: String,
    /// Its first address.
    pub start: u64,
    /// Its length; 0 when it is not known: it then reaches to the next symbol.
    pub size: u64,
    /// Its letter, as in [`super::Symbol::kind`].
    pub kind: u8,
}

/// Why a table cannot be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// More than [`SYMBOLS_MAX`] entries.
    TooMany(usize),
    /// Two entries are called this.
    Duplicate(String),
    /// This name is empty or longer than [`NAME_MAX`].
    NameLength(String),
    /// This symbol lies, or ends, 4 GiB or more above the lowest one.
    TooFar(String),
}

impl core::fmt::Display for EncodeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::TooMany(n) => write!(f, "{n} symbols, at most {SYMBOLS_MAX} are possible"),
            Self::Duplicate(name) => write!(f, "two symbols are called {name}"),
            Self::NameLength(name) => write!(f, "a name must have 1 to {NAME_MAX} bytes: {name:?}"),
            Self::TooFar(name) => write!(f, "{name} lies 4 GiB or more above the lowest symbol"),
        }
    }
}

impl core::error::Error for EncodeError {}

/// Writes the blob for `entries`, which may come in any order.
///
/// Of entries at one address, the reader answers with the first: the one with the largest known size,
/// then one visible outside its object file, then the first by name. So `work_add` beats a label at its
/// start.
pub fn encode(mut entries: Vec<Entry>) -> Result<Vec<u8>, EncodeError> {
    if entries.len() > SYMBOLS_MAX {
        return Err(EncodeError::TooMany(entries.len()));
    }
    let mut seen = BTreeSet::new();
    for entry in &entries {
        if entry.name.is_empty() || entry.name.len() > NAME_MAX {
            return Err(EncodeError::NameLength(entry.name.clone()));
        }
        if !seen.insert(entry.name.as_str()) {
            return Err(EncodeError::Duplicate(entry.name.clone()));
        }
    }
    // Before sizes are filled in: a linker's mark must not win over the function that starts there.
    entries.sort_by(|a, b| {
        let key = |e: &Entry| (e.start, u64::MAX - e.size, e.kind.is_ascii_lowercase());
        key(a).cmp(&key(b)).then_with(|| a.name.cmp(&b.name))
    });
    fill_sizes(&mut entries);
    let base = entries.first().map_or(0, |e| e.start);

    let mut records = Vec::with_capacity(entries.len() * RECORD_LEN);
    let mut names = Vec::new();
    for entry in &entries {
        let offset = u32::try_from(entry.start - base);
        let (Ok(offset), Ok(size), Ok(name_at)) =
            (offset, u32::try_from(entry.size), u32::try_from(names.len()))
        else {
            return Err(EncodeError::TooFar(entry.name.clone()));
        };
        // Fits: bounded by NAME_MAX above.
        let name_len = entry.name.len() as u16;
        records.extend_from_slice(&offset.to_le_bytes());
        records.extend_from_slice(&size.to_le_bytes());
        records.extend_from_slice(&name_at.to_le_bytes());
        records.extend_from_slice(&name_len.to_le_bytes());
        records.extend_from_slice(&[entry.kind, 0]);
        names.extend_from_slice(entry.name.as_bytes());
    }
    // Fits: SYMBOLS_MAX bounds it.
    let mut order: Vec<u32> = (0..entries.len() as u32).collect();
    order.sort_by(|a, b| entries[*a as usize].name.as_bytes().cmp(entries[*b as usize].name.as_bytes()));

    let total = HEADER_LEN + records.len() + order.len() * ORDER_LEN + names.len();
    let mut blob = Vec::with_capacity(total);
    blob.resize(HEADER_LEN, 0);
    blob[..MAGIC.len()].copy_from_slice(&MAGIC);
    put(&mut blob, header::VERSION, &VERSION.to_le_bytes());
    put(&mut blob, header::COUNT, &(entries.len() as u32).to_le_bytes());
    put(&mut blob, header::TOTAL_LEN, &(total as u64).to_le_bytes());
    put(&mut blob, header::BASE, &base.to_le_bytes());
    put(&mut blob, header::NAMES_LEN, &(names.len() as u64).to_le_bytes());
    blob.extend_from_slice(&records);
    order.iter().for_each(|n| blob.extend_from_slice(&n.to_le_bytes()));
    blob.extend_from_slice(&names);
    let sum = checksum(&blob, header::CHECKSUM).unwrap_or(0);
    put(&mut blob, header::CHECKSUM, &sum.to_le_bytes());
    Ok(blob)
}

/// Gives each entry of unknown size the stretch up to the next address that has a symbol.
fn fill_sizes(entries: &mut [Entry]) {
    let starts: BTreeSet<u64> = entries.iter().map(|e| e.start).collect();
    for entry in entries.iter_mut().filter(|e| e.size == 0) {
        let next = starts.range(entry.start..).find(|s| **s > entry.start);
        entry.size = next.map_or(0, |next| next - entry.start);
    }
}
