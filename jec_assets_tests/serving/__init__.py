"""Tests of jec_assets.serving."""
