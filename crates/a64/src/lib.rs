//! A64 machine words: encode, decode, classify for probing, simulate.
#![no_std]
