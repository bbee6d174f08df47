"""`agent_state`: the agent that calls a tool, with the attributes of V1's AgentState."""


class Record:
    """An object out of JSON: attributes, and what a mapping has."""

    def __init__(self, fields):
        for key, value in fields.items():
            setattr(self, key, record(value))

    def __getitem__(self, key):
        return self.__dict__[key]

    def __iter__(self):
        return iter(self.__dict__)

    def __contains__(self, key):
        return key in self.__dict__

    def get(self, key, default=None):
        return self.__dict__.get(key, default)

    def keys(self):
        return self.__dict__.keys()

    def items(self):
        return self.__dict__.items()

    def model_dump(self, **_options):
        return {key: plain(value) for key, value in self.__dict__.items()}

    dict = model_dump

    def __eq__(self, other):
        return isinstance(other, Record) and self.__dict__ == other.__dict__

    __hash__ = None

    def __repr__(self):
        fields = ", ".join("%s=%r" % field for field in self.__dict__.items())
        return "%s(%s)" % (type(self).__name__, fields)


def record(value):
    if isinstance(value, dict):
        return Record(value)
    return [record(item) for item in value] if isinstance(value, list) else value


def plain(value):
    if isinstance(value, Record):
        return value.model_dump()
    return [plain(item) for item in value] if isinstance(value, list) else value


class Block(Record):
    def __setattr__(self, name, value):
        if name == "value" and not isinstance(value, str):
            raise ValueError("the value of a block is a text, not %s" % type(value).__name__)
        super().__setattr__(name, value)


class Memory(Record):
    """The blocks of an agent. What a tool changes here is written back when it returns."""

    def __init__(self, fields, blocks):
        super().__init__(fields)
        self.blocks = [Block(block) for block in blocks]

    def get_block(self, label):
        for block in self.blocks:
            if block.label == label:
                return block
        labels = ", ".join(self.list_block_labels()) or "none"
        raise KeyError("there is no block '%s'; the blocks are: %s" % (label, labels))

    def get_blocks(self):
        return self.blocks

    def list_block_labels(self):
        return [block.label for block in self.blocks]

    def update_block_value(self, label, value):
        self.get_block(label).value = value

    def set_block(self, block):
        """As V1: puts the value of a block of that label. A tool makes no new blocks here: `client` does."""
        self.get_block(block.label).value = block.value

    def compile(self):
        return "\n\n".join("<%s>\n%s\n</%s>" % (b.label, b.value, b.label) for b in self.blocks)


class AgentState(Record):
    def __init__(self, agent):
        blocks = agent.get("blocks") or []
        super().__init__({key: value for key, value in agent.items() if key != "blocks"})
        self.memory = Memory({"agent_type": agent.get("agent_type")}, blocks)
        self.blocks = self.memory.blocks

    def get_agent_env_vars_as_dict(self):
        import os

        return dict(os.environ)


def memory_edits(agent_state, before):
    """The values that have changed, by label."""
    return {
        block.label: block.value
        for block in agent_state.memory.blocks
        if block.label in before and before[block.label] != block.value
    }
