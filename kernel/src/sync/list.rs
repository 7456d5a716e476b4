//! A doubly linked list whose links lie in the elements, so that queueing never allocates.
//!
//! ```text
//!   List ─first─▶ T ⇄ T ⇄ T ◀─last─ List
//! ```
//!
//! An element is in at most one list at a time (per [`Link`]); whoever owns the list's lock owns the links.

use core::cell::Cell;
use core::ptr::null;

/// The place in an element where a list keeps its neighbours.
pub(crate) struct Link<T> {
    prev: Cell<*const T>,
    next: Cell<*const T>,
    linked: Cell<bool>,
}

impl<T> Link<T> {
    /// The link of an element that is in no list.
    pub(crate) const fn new() -> Self {
        Self { prev: Cell::new(null()), next: Cell::new(null()), linked: Cell::new(false) }
    }

    /// True while the element is in a list.
    pub(crate) fn is_linked(&self) -> bool {
        self.linked.get()
    }
}

/// An element that has a [`Link`].
///
/// # Safety
/// `link` gives the same link each time, and nothing else uses it.
pub(crate) unsafe trait Linked: Sized {
    /// The element's link.
    fn link(&self) -> &Link<Self>;
}

/// The two ends of a list.
pub(crate) struct List<T> {
    first: *const T,
    last: *const T,
}

// SAFETY: a list is only a pair of pointers; using it is governed by the lock it lies in.
unsafe impl<T: Sync> Send for List<T> {}

impl<T: Linked> List<T> {
    /// An empty list.
    pub(crate) const fn new() -> Self {
        Self { first: null(), last: null() }
    }

    /// True when there is no element.
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_null()
    }

    /// The first element.
    pub(crate) fn first(&self) -> Option<&T> {
        // SAFETY: elements stay valid while they are linked (promised to `push_*`).
        unsafe { self.first.as_ref() }
    }

    /// Appends `element`.
    ///
    /// # Safety
    /// It is in no list, and neither moves nor dies before it is removed.
    pub(crate) unsafe fn push_back(&mut self, element: *const T) {
        // SAFETY: the element is valid (caller); `last` is linked and so valid too.
        unsafe {
            let link = (*element).link();
            debug_assert!(!link.is_linked());
            link.linked.set(true);
            link.next.set(null());
            link.prev.set(self.last);
            match self.last.as_ref() {
                Some(last) => last.link().next.set(element),
                None => self.first = element,
            }
        }
        self.last = element;
    }

    /// Puts `element` before all others.
    ///
    /// # Safety
    /// As for [`List::push_back`].
    pub(crate) unsafe fn push_front(&mut self, element: *const T) {
        // SAFETY: as in `push_back`.
        unsafe {
            let link = (*element).link();
            debug_assert!(!link.is_linked());
            link.linked.set(true);
            link.prev.set(null());
            link.next.set(self.first);
            match self.first.as_ref() {
                Some(first) => first.link().prev.set(element),
                None => self.last = element,
            }
        }
        self.first = element;
    }

    /// Takes `element` out.
    ///
    /// # Safety
    /// It is in this list.
    pub(crate) unsafe fn remove(&mut self, element: *const T) {
        // SAFETY: the element and its neighbours are linked, hence valid.
        unsafe {
            let link = (*element).link();
            debug_assert!(link.is_linked());
            match link.prev.get().as_ref() {
                Some(prev) => prev.link().next.set(link.next.get()),
                None => self.first = link.next.get(),
            }
            match link.next.get().as_ref() {
                Some(next) => next.link().prev.set(link.prev.get()),
                None => self.last = link.prev.get(),
            }
            link.prev.set(null());
            link.next.set(null());
            link.linked.set(false);
        }
    }

    /// Takes the first element out.
    pub(crate) fn pop_front(&mut self) -> Option<*const T> {
        let first = self.first;
        if first.is_null() {
            return None;
        }
        // SAFETY: it is this list's first element.
        unsafe { self.remove(first) };
        Some(first)
    }

    /// The elements, first to last.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        let mut next = self.first;
        core::iter::from_fn(move || {
            // SAFETY: linked elements are valid, and the borrow of the list keeps them linked.
            let element = unsafe { next.as_ref() }?;
            next = element.link().next.get();
            Some(element)
        })
    }
}
