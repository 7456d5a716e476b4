//! A call at its entry, as the listener is asked about it.

use super::hook::Hook;
use super::shadow::Shadow;
use super::trampoline;
use crate::arch::daif::Daif;
use crate::sync::Pinned;

/// A call at its entry. While it exists interrupts are masked, and nothing that the listener calls is hooked.
pub(crate) struct Call<'a> {
    /// The address of the entry's branch, in the function.
    pub(crate) ip: usize,
    /// The return address as the entry found it: the trampoline's, where the function was reached by a branch out of another
    /// hooked one.
    pub(crate) parent_ip: usize,
    pub(super) masks: Daif,
    pub(super) guards: u32,
    pub(super) shadow: &'a Shadow,
    pub(super) hook: &'a Hook,
}

// SAFETY: interrupts are masked while it lives.
unsafe impl Pinned for Call<'_> {}

impl<'a> Call<'a> {
    /// The function: the branch is its second word.
    #[inline(always)]
    pub(crate) fn function(&self) -> u64 {
        self.ip as u64 - 4
    }

    /// Were interrupts masked before the entry?
    #[inline(always)]
    pub(crate) fn irqs_were_masked(&self) -> bool {
        self.masks.masks_irqs()
    }

    /// What the way here has added to the preempt count.
    #[inline(always)]
    pub(crate) fn guards(&self) -> u32 {
        self.guards
    }

    /// Where the function will return to in the end: for one that was reached by a branch out of a hooked one, what that
    /// one's entry says.
    pub(crate) fn returns_to(&self) -> u64 {
        let trampoline = trampoline::addr();
        let mut at = self.shadow.last();
        let mut returns_to = self.parent_ip as u64;
        while returns_to == trampoline
            && let Some(entry) = at
        {
            // SAFETY: the entry is on this task's stack; interrupts are masked.
            returns_to = unsafe { (*entry).returns_to };
            at = self.shadow.below(entry);
        }
        returns_to
    }

    /// What the listener keeps of its innermost call under way in this task, if there is one: the caller, or one that called
    /// that.
    #[inline(always)]
    pub(crate) fn caller_data(&self) -> Option<&'a [u64]> {
        self.callers().next()
    }

    /// The listener's calls under way in this task. As many steps as the shadow stack has entries.
    pub(crate) fn depth(&self) -> usize {
        self.callers().count()
    }

    /// What the listener keeps of its calls under way in this task, innermost first.
    #[inline(always)]
    fn callers(&self) -> impl Iterator<Item = &'a [u64]> {
        let (shadow, hook) = (self.shadow, self.hook);
        let mut at = shadow.last();
        core::iter::from_fn(move || {
            loop {
                let entry = at?;
                at = shadow.below(entry);
                // SAFETY: the entry is on this task's stack, with the words of its hook, whose listener this is; interrupts
                // are masked and the listener has no other reference to them: that of `enter` is above the top.
                unsafe {
                    if core::ptr::eq((*entry).hook, hook) {
                        return Some(&*Shadow::data(entry, hook.data_words()));
                    }
                }
            }
        })
    }
}
