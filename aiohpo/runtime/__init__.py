"""The asyncio shell around the pure layers: it carries out their effects."""
