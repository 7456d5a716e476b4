//! Program arrays: where tail calls go.
//!
//! ```text
//!   tail_call(ctx, array, 2) ─▶ target(array, 2) ─▶ the third handle: where the code of a program is entered, or 0
//! ```
//!
//! What a program is given in r1 it hands on. So all programs of an array, and all that call through it, must have been
//! verified for the same: the first of them says for what, and others are refused as long as the array is there.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;

use ::bpf::kind::Attach;
use ::bpf::map::{Map, MapKind};
use tracecore::errno::Errno;

use crate::arch::cpu;
use crate::bpf::jit::Image;
use crate::bpf::maps::{self, Entry};
use crate::bpf::prog::{Engine, Prog};
use crate::task::Mutex;

/// What the programs of an array are given: by the array's id.
static OWNERS: Mutex<BTreeMap<u32, (Attach, String)>> = Mutex::new(BTreeMap::new());

/// What a program of a section is given. The target matters where the context is made for it.
fn given(attach: Attach, section: &str) -> (Attach, String) {
    let own = matches!(
        attach,
        Attach::Tracepoint
            | Attach::RawTracepoint
            | Attach::TpBtf
            | Attach::Fentry
            | Attach::Fexit
            | Attach::FmodRet
    );
    (attach, if own { section.into() } else { String::new() })
}

/// A program of this section is to be put into an array, or calls through it.
///
/// # Errors
/// EINVAL: others were given something else.
pub(super) fn claim(map: &Entry, attach: Attach, section: &str) -> Result<(), Errno> {
    let mut owners = OWNERS.lock();
    owners.retain(|id, _| maps::by_id(*id).is_some());
    let given = given(attach, section);
    match owners.get(&map.id()) {
        Some(owner) if *owner != given => Err(Errno::EINVAL),
        Some(_) => Ok(()),
        None => {
            owners.insert(map.id(), given);
            Ok(())
        }
    }
}

/// Puts a program into a program array.
///
/// # Errors
/// EINVAL: the map is none, the program has no code, or it is given something else than the others.
pub(crate) fn put(map: &Entry, key: u32, prog: &Arc<Prog>) -> Result<(), Errno> {
    let Engine::Code(_, image) = &prog.parts().engine else { return Err(Errno::EINVAL) };
    let image = image.downcast_ref::<Image>().ok_or(Errno::EINVAL)?;
    if map.def().kind != MapKind::ProgArray {
        return Err(Errno::EINVAL);
    }
    claim(map, prog.parts().attach, &prog.parts().section)?;
    map.put_object(&key.to_le_bytes(), image.tail_entry() as u64, prog.clone(), 0)
}

/// Where a tail call through a place of an array enters, 0 if there is nothing. Called by compiled programs.
pub(super) extern "C" fn target(map: u64, index: u64) -> u64 {
    // SAFETY: the verifier lets only a program array come here, by the address that it was compiled with; the running program
    // holds the map.
    let map: &Map = unsafe { &*core::ptr::with_exposed_provenance(map as usize) };
    let Ok(index) = u32::try_from(index) else { return 0 };
    map.object(cpu::id(), &index.to_le_bytes()).unwrap_or(0)
}
