def train() -> None: 
    """Train."""
