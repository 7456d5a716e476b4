//! Code that is neither traced nor probed.

/// Marks items: no patchable entry, and a place in `.noinstr.text`, a range that `text::ranges` refuses.
///
/// For what runs between an exception's entry and the point at which a nested one can be told apart, and for what
/// changes the text itself. Closures and generic callees inside are not covered: call none that is not inlined.
macro_rules! noinstr {
    ($($item:item)*) => { $(
        #[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
        #[unsafe(link_section = ".noinstr.text")]
        $item
    )* };
}
