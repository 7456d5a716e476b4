//! A pairing heap whose links lie in the elements.
//!
//! A tree in which no child is due before its parent. Two trees are melded by hanging the later root below the
//! earlier one; that is the only step there is:
//!
//! ```text
//!   insert(n)   meld(root, n)
//!   pop         the root's children are melded in pairs, then the pairs into one
//!   remove(n)   cut n's subtree out, take n off it as `pop` does, meld the rest with the root
//! ```
//!
//! Insert is constant, the others are O(log n) amortised; nothing is allocated, so a timer can be armed anywhere.
//! (Fredman, Sedgewick, Sleator, Tarjan: The pairing heap, 1986.)

use core::cell::Cell;
use core::ptr::null;

/// An element's place in the tree.
pub(super) struct Node {
    deadline: Cell<u64>,
    /// First child.
    child: Cell<*const Node>,
    /// Next sibling.
    next: Cell<*const Node>,
    /// The sibling before, or for a first child the parent.
    back: Cell<*const Node>,
}

impl Node {
    pub(super) const fn new() -> Self {
        Self {
            deadline: Cell::new(0),
            child: Cell::new(null()),
            next: Cell::new(null()),
            back: Cell::new(null()),
        }
    }

    pub(super) fn deadline(&self) -> u64 {
        self.deadline.get()
    }
}

/// The earliest element, and below it the others.
pub(super) struct Heap {
    root: *const Node,
}

// SAFETY: only a pointer; using it is governed by the lock it lies in.
unsafe impl Send for Heap {}

impl Heap {
    pub(super) const fn new() -> Self {
        Self { root: null() }
    }

    pub(super) fn first(&self) -> Option<&Node> {
        // SAFETY: elements stay valid while they are in the heap (promised to `insert`).
        unsafe { self.root.as_ref() }
    }

    /// # Safety
    /// The element is in no heap, and neither moves nor dies while it is in this one.
    pub(super) unsafe fn insert(&mut self, node: *const Node, deadline: u64) {
        // SAFETY: valid by the caller's promise, as all elements are.
        unsafe {
            (*node).deadline.set(deadline);
            (*node).child.set(null());
            (*node).next.set(null());
            (*node).back.set(null());
            self.root = meld(self.root, node);
        }
    }

    /// Takes the earliest element out.
    pub(super) fn pop(&mut self) -> Option<*const Node> {
        let root = self.root;
        // SAFETY: elements are valid while they are in the heap.
        unsafe {
            let child = root.as_ref()?.child.get();
            self.root = meld_children(child);
        }
        Some(root)
    }

    /// Takes `node` out.
    ///
    /// # Safety
    /// It is in this heap.
    pub(super) unsafe fn remove(&mut self, node: *const Node) {
        if core::ptr::eq(node, self.root) {
            self.pop();
            return;
        }
        // SAFETY: `node` and its neighbours are in the heap; it is not the root, so `back` is set.
        unsafe {
            let (back, next) = ((*node).back.get(), (*node).next.get());
            if core::ptr::eq((*back).child.get(), node) {
                (*back).child.set(next);
            } else {
                (*back).next.set(next);
            }
            if let Some(next) = next.as_ref() {
                next.back.set(back);
            }
            let rest = meld_children((*node).child.get());
            self.root = meld(self.root, rest);
        }
    }
}

/// One tree of two; the earlier root stays root, at equality the first.
///
/// # Safety
/// Both are null or roots of valid trees.
unsafe fn meld(a: *const Node, b: *const Node) -> *const Node {
    if a.is_null() {
        return b;
    }
    if b.is_null() {
        return a;
    }
    // SAFETY: both are valid.
    unsafe {
        let (root, child) = if (*b).deadline.get() < (*a).deadline.get() { (b, a) } else { (a, b) };
        let first = (*root).child.get();
        (*child).next.set(first);
        (*child).back.set(root);
        if let Some(first) = first.as_ref() {
            first.back.set(child);
        }
        (*root).child.set(child);
        (*root).next.set(null());
        (*root).back.set(null());
        root
    }
}

/// One tree of a list of siblings: pairs from the left, then the pairs from the right.
///
/// # Safety
/// `first` is null or the first of a list of valid siblings.
unsafe fn meld_children(first: *const Node) -> *const Node {
    let mut rest = first;
    let mut pairs: *const Node = null();
    // SAFETY: siblings are valid; each is taken off the list before it is melded. Pairs are stacked through `next`.
    unsafe {
        while !rest.is_null() {
            let a = rest;
            let b = (*a).next.get();
            rest = if b.is_null() { null() } else { (*b).next.get() };
            (*a).next.set(null());
            if let Some(b) = b.as_ref() {
                b.next.set(null());
            }
            let pair = meld(a, b);
            (*pair).next.set(pairs);
            pairs = pair;
        }
        let mut root: *const Node = null();
        while !pairs.is_null() {
            let pair = pairs;
            pairs = (*pair).next.get();
            (*pair).next.set(null());
            (*pair).back.set(null());
            root = meld(root, pair);
        }
        root
    }
}
