"""The agent edge: listening for KVM agents, attaching them to hosts, carrying commands to them."""
