"""What a student learns from a teacher of many draws: losses, and weights of modalities."""
