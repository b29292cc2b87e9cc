"""The vocabulary: frozen, pure, shared by every station and connector."""
