//! Addresses and names, for those who print and parse.

use alloc::vec::Vec;

use tracecore::fetch::{Fault, SafeMemory};
use tracecore::probe::{LookupError, Resolver, Symbol};
use tracecore::symbolize::{SymbolAt, Symbolizer};
use tracecore::typetab::TypeTable;

use crate::arch::{mmu, probe_read};
use crate::{ftrace, ksyms, ktypes, tracepoint};

/// The longest text of the image that is shown.
const MAX_CONSTANT: u64 = 256;

/// The kernel's symbols and memory.
pub(super) struct Kernel;

impl Symbolizer for Kernel {
    fn symbol_at(&self, address: u64) -> Option<SymbolAt<'_>> {
        let symbol = ksyms::by_addr(address as usize)?;
        Some(SymbolAt { name: symbol.name, offset: address - symbol.start, size: symbol.size })
    }

    fn arguments(&self, function: u64, registers: &[u64], out: &mut Vec<u8>) -> bool {
        // A tracer's address is that of the entry's branch.
        ksyms::by_addr(function as usize)
            .is_some_and(|symbol| ktypes::table().show_arguments(symbol.start, registers, out))
    }

    fn constant_text(&self, address: u64) -> Option<Vec<u8>> {
        let constants = mmu::constants();
        let mut text = Vec::new();
        for at in address..address.saturating_add(MAX_CONSTANT) {
            let inside = constants.contains(&(at as usize));
            match if inside { probe_read::read_u8(at).ok()? } else { return None } {
                0 => return Some(text),
                byte => text.push(byte),
            }
        }
        Some(text)
    }
}

impl Resolver for Kernel {
    fn lookup(&self, name: &str) -> Result<Symbol, LookupError> {
        let symbol = ksyms::by_name(name).ok_or(LookupError::Missing)?;
        // A function with a patchable entry begins behind it.
        let has_site =
            ftrace::site_of(symbol.start as usize).is_some_and(|site| site.function as u64 == symbol.start);
        Ok(Symbol { address: symbol.start, size: symbol.size, entry_bytes: if has_site { 8 } else { 0 } })
    }

    fn is_function_entry(&self, address: u64) -> bool {
        ksyms::by_addr(address as usize).is_some_and(|symbol| symbol.is_text() && symbol.start == address)
    }

    fn has_functions(&self, pattern: &str) -> bool {
        !ftrace::fprobe::by_glob(pattern, None).is_empty()
    }

    fn tracepoint(&self, name: &str) -> Option<u64> {
        tracepoint::find(name).map(|point| point.raw().addr() as u64)
    }

    fn types(&self) -> TypeTable<'_> {
        *ktypes::table()
    }
}

impl SafeMemory for Kernel {
    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Fault> {
        probe_read::read(address, into).map_err(|_| Fault)
    }

    fn load(&self, address: u64, size: usize) -> Result<u64, Fault> {
        match size {
            8 => probe_read::read_u64(address),
            4 => probe_read::read_u32(address).map(u64::from),
            2 => probe_read::read_u16(address).map(u64::from),
            1 => probe_read::read_u8(address).map(u64::from),
            _ => return Err(Fault),
        }
        .map_err(|_| Fault)
    }
}
