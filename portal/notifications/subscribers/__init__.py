"""Subscribers: addresses without a login that hear what everybody may read on the public page of one portal domain."""
