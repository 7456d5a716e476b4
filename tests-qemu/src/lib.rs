//! Cases that boot the kernel: text in, text out.
