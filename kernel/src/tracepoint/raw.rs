//! Raw listeners: the arguments of any tracepoint, untouched, as words.
//!
//! For those who know a tracepoint by its name and not by its Rust type. An integer is widened by its sign, a reference
//! is its address, a text the address of its bytes.

use alloc::sync::Arc;

use tracecore::errno::Errno;

use super::point::Probe;
use super::{Registration, Target, Tracepoint};
use crate::sync::CpuPin;

/// A function that gets the words, and its data.
pub(crate) struct Listener {
    function: fn(&[u64], usize),
    data: usize,
}

impl Listener {
    /// Hands the words over.
    #[inline(always)]
    pub(crate) fn hear(&self, words: &[u64]) {
        (self.function)(words, self.data);
    }
}

/// Lets `function` hear the tracepoint of this name.
///
/// # Errors
/// ENOENT when there is none; EEXIST when this function hears it with this data; ENOMEM; those of the key's flip.
pub(crate) fn attach(
    name: &str,
    function: fn(&[u64], usize),
    data: usize,
    priority: i32,
) -> Result<Registration, Errno> {
    let point = super::find(name).ok_or(Errno::ENOENT)?;
    let listener = Arc::new(Listener { function, data });
    // SAFETY: the tracepoint's own function for this: it takes its arguments and a listener, which may be shared.
    let target = unsafe { Target::new(point.raw(), Arc::as_ptr(&listener).cast()) };
    point.add(Probe::owned(target, (function as usize, data), listener, priority))
}

/// A listener that is a value.
pub(crate) trait Hears: Send + Sync {
    /// Gets the words, with preemption off.
    fn hear(&self, words: &[u64], pin: &CpuPin);
}

/// Lets `listener` hear a tracepoint until the registration is dropped.
///
/// # Errors
/// EEXIST when it hears it already; ENOMEM; those of the key's flip.
pub(crate) fn attach_listener<L: Hears + 'static>(
    point: &'static Tracepoint,
    listener: Arc<L>,
    priority: i32,
) -> Result<Registration, Errno> {
    let data = Arc::as_ptr(&listener).expose_provenance();
    let shared = Arc::new(Shared { listener: Listener { function: hear::<L>, data }, _owner: listener });
    // SAFETY: as in `attach`; `shared` begins with a listener.
    let target = unsafe { Target::new(point.raw(), Arc::as_ptr(&shared).cast()) };
    point.add(Probe::owned(target, (hear::<L> as fn(&[u64], usize) as usize, data), shared, priority))
}

/// A listener, and what its data is.
#[repr(C)]
struct Shared<L> {
    listener: Listener,
    _owner: Arc<L>,
}

fn hear<L: Hears>(words: &[u64], data: usize) {
    // SAFETY: `attach_listener` has made it of a listener of this type, which `Shared` keeps as long as the probe.
    let listener = unsafe { &*core::ptr::with_exposed_provenance::<L>(data) };
    // SAFETY: an owned probe is called by the walk, which pins the task.
    let pin = unsafe { CpuPin::assume() };
    listener.hear(words, &pin);
}

/// What an argument is as a word.
pub(crate) trait Word {
    /// The word.
    fn word(self) -> u64;
}

macro_rules! words {
    ($($ty:ty)*) => { $(
        impl Word for $ty {
            #[inline(always)]
            fn word(self) -> u64 {
                self as u64
            }
        }
    )* };
}

words!(u8 u16 u32 u64 usize i8 i16 i32 i64 isize bool);

impl<T> Word for &T {
    #[inline(always)]
    fn word(self) -> u64 {
        core::ptr::from_ref(self).expose_provenance() as u64
    }
}

impl<T> Word for *const T {
    #[inline(always)]
    fn word(self) -> u64 {
        self.expose_provenance() as u64
    }
}

impl Word for &core::ffi::CStr {
    #[inline(always)]
    fn word(self) -> u64 {
        self.as_ptr().word()
    }
}

impl Word for &str {
    #[inline(always)]
    fn word(self) -> u64 {
        self.as_ptr().word()
    }
}

impl Word for &[u8] {
    #[inline(always)]
    fn word(self) -> u64 {
        self.as_ptr().word()
    }
}
