//! The life of a registration: registered, armed, disarmed, removed; many by one change of the text.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use super::place::{self, Refusal};
use super::point::{Entry, Handler, Point};
use super::{entry, table};
use crate::sync::{PreemptLock, quiesce};
use crate::text::slots::Slot;
use crate::text::{self, Patch};

/// Held while probes are registered, armed, disarmed, removed or listed; never by a hit.
pub(super) static LOCK: PreemptLock<()> = PreemptLock::new(());

/// While it is off no word of text is a probe's, however many are armed. Changed under the lock.
static ENABLED: AtomicBool = AtomicBool::new(true);

/// Are armed probes in the text?
pub(crate) fn enabled() -> bool {
    ENABLED.load(Ordering::Relaxed)
}

/// Takes all armed probes out of the text, or puts them back, by one change. They stay armed meanwhile, and what is
/// armed or disarmed meanwhile counts from when they are back.
pub(crate) fn set_enabled(on: bool) -> Result<(), Refusal> {
    let mut ways = entry::ways();
    if enabled() == on {
        return Ok(());
    }
    let lock = LOCK.lock();
    let mut patches = Vec::new();
    let mut room = Ok(());
    table::for_each(&lock, |point| {
        if room.is_ok() && point.armed() != 0 && !point.is_at_site() {
            room = patches.try_reserve(1);
            if room.is_ok() {
                patches.push(point.patch(on));
            }
        }
    });
    room.map_err(|_| Refusal::NoMemory)?;
    text::commit(&mut patches).map_err(Refusal::Text)?;
    ENABLED.store(on, Ordering::Relaxed);
    drop(lock);
    ways.settle()
}

/// A registration: a handler on an address. Dropping it disarms it, waits until no CPU can be in it, and frees it.
pub(crate) struct Kprobe {
    pub(super) point: Arc<Point>,
    pub(super) entry: Arc<Entry>,
}

impl Kprobe {
    /// Puts `handler` on the instruction at `addr`, disarmed. The word of a function's entry that is ftrace's stands for the
    /// function's first.
    ///
    /// # Errors
    /// Why the address cannot be probed; nothing is changed then.
    pub(crate) fn register(addr: usize, handler: Arc<dyn Handler>) -> Result<Self, Refusal> {
        let addr = place::moved(addr);
        let lock = LOCK.lock();
        let known = table::find(&lock, addr as u64);
        let old = known.as_ref().map_or(&[][..], |point| point.entries(&lock));
        let mut entries = Vec::new();
        entries.try_reserve_exact(old.len() + 1).map_err(|_| Refusal::NoMemory)?;
        entries.extend(old.iter().cloned());
        let entry = Entry::new(handler);
        entries.push(entry.clone());
        let point = match known {
            Some(point) => point,
            None => {
                let point = Arc::new(Point::new(addr as u64, entry.handler().has_post())?);
                table::link(&lock, point.clone());
                point
            }
        };
        point.set_entries(entries);
        Ok(Self { point, entry })
    }

    /// The probed address.
    pub(crate) fn addr(&self) -> usize {
        self.point.addr() as usize
    }

    /// Where its slot is, if it has one.
    pub(crate) fn slot_addr(&self) -> Option<usize> {
        self.point.slot().map(Slot::addr)
    }

    /// Arms it: from now on its handler is called.
    pub(crate) fn arm(&self) -> Result<(), Refusal> {
        arm_all(core::slice::from_ref(&self))
    }

    /// Disarms it. Handlers that have begun may still be running when this returns.
    pub(crate) fn disarm(&self) -> Result<(), Refusal> {
        disarm_all(core::slice::from_ref(&self))
    }

    /// Hits that ran no handler while this one was armed, because another probe's handlers were running.
    pub(crate) fn missed(&self) -> u64 {
        let _lock = LOCK.lock();
        self.entry.missed(&self.point)
    }
}

impl Drop for Kprobe {
    fn drop(&mut self) {
        // This fails only if somebody else has written there. Then point and handler stay, for the BRK that a CPU may
        // still meet.
        if let Err(e) = self.disarm() {
            log::error!("kprobes: the probe at {:#x} stays: {e}", self.point.addr());
            return;
        }
        let lock = LOCK.lock();
        let left: Vec<_> = self
            .point
            .entries(&lock)
            .iter()
            .filter(|entry| !Arc::ptr_eq(entry, &self.entry))
            .cloned()
            .collect();
        let unlinked = left.is_empty().then(|| table::unlink(&lock, &self.point));
        self.point.set_entries(left);
        drop(lock);
        // A CPU that took the BRK before it was removed may stand on the point, in its slot, or in the handler.
        let kept = (unlinked, self.point.clone(), self.entry.clone());
        quiesce::defer(Box::new(move || drop(kept)));
    }
}

/// Arms all, or none, by one change of the text. Those that are armed stay so.
pub(crate) fn arm_all(probes: &[&Kprobe]) -> Result<(), Refusal> {
    switch(probes, true)
}

/// Disarms all, or none, by one change of the text. Those that are disarmed stay so.
pub(crate) fn disarm_all(probes: &[&Kprobe]) -> Result<(), Refusal> {
    switch(probes, false)
}

/// Arms one and disarms the other by one change of the text, which stops the machine once where two would stop it twice. At
/// the entry of a function it takes two changes: first one is armed, then the other disarmed.
///
/// # Errors
/// Why the one cannot be armed or the other not disarmed. If it says so of the second of two changes, the first has been made.
pub(crate) fn hand_over(from: &Kprobe, to: &Kprobe) -> Result<(), Refusal> {
    if from.point.site().or(to.point.site()).is_some() {
        return to.arm().and_then(|()| from.disarm());
    }
    switch_words([(to, true), (from, false)].into_iter(), &[])
}

fn switch(probes: &[&Kprobe], arm: bool) -> Result<(), Refusal> {
    let turns = probes.iter().map(|probe| (*probe, arm));
    if probes.iter().all(|probe| probe.point.site().is_none()) {
        return switch_words(turns, &[]);
    }
    let mut ways = entry::ways();
    let change = ways.begin(probes, arm, |probe| changes(&(probe, arm)))?;
    let done = switch_words(turns, change.falling());
    ways.end(change, done.is_ok());
    done
}

/// A probe, and whether it is to be armed.
type Turn<'a> = (&'a Kprobe, bool);

fn changes((probe, arm): &Turn<'_>) -> bool {
    probe.entry.is_armed() != *arm
}

/// The part that holds the lock: counts, and makes one change of the words. Points that are `falling` get their breakpoint
/// though they are armed: their hits came by the site.
fn switch_words<'a>(
    turns: impl Iterator<Item = Turn<'a>> + Clone,
    falling: &[Arc<Point>],
) -> Result<(), Refusal> {
    let lock = LOCK.lock();
    let mut patches = patches(turns.clone())?;
    let room = patches.try_reserve(falling.len());
    if room.is_ok() && enabled() {
        patches.extend(falling.iter().map(|point| point.patch(true)));
    }
    let done =
        room.map_err(|_| Refusal::NoMemory).and_then(|()| text::commit(&mut patches).map_err(Refusal::Text));
    if let Err(e) = done {
        turns.filter(changes).for_each(|(probe, arm)| {
            probe.point.count(!arm);
        });
        return Err(e);
    }
    for point in falling {
        point.set_way(false, &lock);
    }
    turns.filter(changes).for_each(|(probe, arm)| probe.entry.set_armed(arm, &probe.point));
    Ok(())
}

/// Counts the probes that change and collects the words that change with them.
fn patches<'a>(turns: impl Iterator<Item = Turn<'a>> + Clone) -> Result<Vec<Patch>, Refusal> {
    let mut patches = Vec::new();
    patches.try_reserve_exact(turns.clone().count()).map_err(|_| Refusal::NoMemory)?;
    for (probe, arm) in turns.filter(changes) {
        if probe.point.count(arm) && enabled() && !probe.point.is_at_site() {
            patches.push(probe.point.patch(arm));
        }
    }
    Ok(patches)
}
