"""The mutations as data. `tests/test_mutations.py` sees to it that every old text still stands in its file."""

from __future__ import annotations

from dataclasses import dataclass

AVERAGE = "raygan/nn/average.py"
LOSSES = "raygan/nn/losses.py"
CLIENT = "raygan/split/client.py"
DEFENCE = "raygan/split/defence.py"
BODY = "raygan/split/body.py"
TRUNK = "raygan/split/trunk.py"
NETWORK = "raygan/nn/network.py"
MERGED = "raygan/split/merged.py"
PIPELINE = "raygan/split/pipeline.py"
WEIGHTING = "raygan/federated/weighting.py"
AGGREGATION = "raygan/federated/aggregation.py"
CLUSTERING = "raygan/federated/clustering.py"
ROUND = "raygan/algorithms/huscf.py"
SUBMIT = "raygan/split/submit.py"
LATENCY = "raygan/cuts/latency.py"
FLEET = "raygan/cuts/fleet.py"
COST = "raygan/nn/cost.py"
DATA = "raygan/data/client.py"
FID = "raygan/evaluation/frechet.py"
SCORES = "raygan/evaluation/scores"
GENERATION_SCORE = f"{SCORES}/generation_score.py"
OWNER = "raygan/parties/data_owner.py"
ASSIGNMENT = "raygan/federated/assignment.py"
STEP = "raygan/step.py"
FEDERATION = "raygan/runtime/federation.py"

AVERAGE_TEST = ("tests/nn/test_average.py",)
SESSION_TEST = ("tests/secure/test_session.py",)
COLLAPSE_TEST = ("tests/evaluation/test_collapse.py",)
STEP_TEST = ("tests/run/test_step.py",)
PIPELINE_TEST = ("tests/split/test_pipeline.py",)
CLIENT_TEST = ("tests/split/test_client.py",)
SENT_TEST = ("tests/split/test_defence.py::test_what_is_sent_is_clipped_and_has_the_steps_noise",)
END_TEST = ("tests/run/test_round_end.py",)
OWN_TEST = ("tests/run/test_own_bodies.py", "tests/split/test_trunk.py")
LOSSES_TEST = ("tests/nn/test_losses.py",)
MERGED_TEST = ("tests/split/test_merged.py",)
WEIGHTING_TEST = ("tests/federated/test_weighting.py",)
AGGREGATION_TEST = ("tests/federated/test_aggregation.py",)
CLUSTERING_TEST = ("tests/federated/test_clustering.py",)
ASSIGNMENT_TEST = ("tests/federated/test_assignment.py",)
LATENCY_TEST = ("tests/cuts/test_latency.py",)
SERVED_TEST = (
    "tests/algorithms/test_served.py::test_a_round_is_one_graph_in_torch",
    "tests/algorithms/test_served.py::test_a_swap_moves_every_discriminator_and_begins_its_optimizer_anew",
)
FLEET_TEST = ("tests/cuts/test_fleet.py",)
COST_TEST = ("tests/nn/test_cost.py",)
DATA_TEST = ("tests/data/test_client.py",)
FID_TEST = ("tests/evaluation/test_fid.py",)
SCORES_TEST = ("tests/evaluation/test_scores.py",)


@dataclass(frozen=True)
class Mutation:
    """One mistake."""

    name: str
    file: str
    """From the repository's root."""
    old: str
    """Stands in the file exactly once."""
    new: str
    tests: tuple[str, ...]
    """Files, or tests as pytest names them, one of which should fail."""


MUTATIONS = (
    # Losses
    Mutation(
        "D's loss is the mean of its parts",
        LOSSES,
        "return fake + real",
        "return (fake + real) / 2",
        LOSSES_TEST,
    ),
    Mutation(
        "the hinge stands at 0",
        LOSSES,
        "relu(1 + fake_logits)",
        "relu(fake_logits)",
        LOSSES_TEST,
    ),
    Mutation(
        "D's heads and tails have G's learning rate",
        CLIENT,
        'training.lr_of("discriminator"), training.betas',
        'training.lr_of("generator"), training.betas',
        ("tests/run/test_exactness.py::test_each_network_has_a_learning_rate_of_its_own",),
    ),
    Mutation(
        "G's loss is doubled",
        LOSSES,
        "return binary_cross_entropy_with_logits(",
        "return 2 * binary_cross_entropy_with_logits(",
        LOSSES_TEST,
    ),
    Mutation(
        "G's loss saturates",
        LOSSES,
        "return binary_cross_entropy_with_logits(fake_logits, torch.ones_like(fake_logits))",
        "return -binary_cross_entropy_with_logits(fake_logits, torch.zeros_like(fake_logits))",
        LOSSES_TEST,
    ),
    Mutation(
        "D's loss takes fakes for reals",
        LOSSES,
        "def discriminator_loss(fake_logits: Tensor, real_logits: Tensor)",
        "def discriminator_loss(real_logits: Tensor, fake_logits: Tensor)",
        LOSSES_TEST,
    ),
    Mutation(
        "the loss of reals is a sum over the batch",
        LOSSES,
        "torch.ones_like(real_logits))",
        'torch.ones_like(real_logits), reduction="sum")',
        LOSSES_TEST,
    ),
    # A step on the client
    Mutation(
        "the client gives D's loss fakes for reals",
        CLIENT,
        "discriminator(fake_logits, real_logits)",
        "discriminator(real_logits, fake_logits)",
        STEP_TEST,
    ),
    Mutation("fakes are not detached in D's update", CLIENT, "self._fakes.detach()", "self._fakes", STEP_TEST),
    Mutation(
        "D's head gathers gradients in G's update",
        CLIENT,
        "with self.discriminator.frozen():",
        "if True:",
        CLIENT_TEST,
    ),
    Mutation(
        "D's tail gathers gradients in G's update",
        CLIENT,
        "with self.discriminator.frozen_tail():",
        "if True:",
        CLIENT_TEST,
    ),
    Mutation(
        "D's head sees fakes and reals as one batch",
        CLIENT,
        """        of_fakes = yield self._discriminator_head(self._transform(self._fakes.detach()), self._fake_labels)
        of_reals = yield self._discriminator_head(self._reals, self._labels)
""",
        """        images, labels = torch.cat([self._fakes.detach(), self._reals]), torch.cat([self._labels] * 2)
        both = yield Run("discriminator", self.discriminator.head, images, labels)
        of_fakes, of_reals = both.chunk(2)
""",
        STEP_TEST,
    ),
    Mutation(
        "G is updated on the D head of before",
        CLIENT,
        """        self.discriminator.update()
        with self.discriminator.frozen():
            of_fakes = yield self._discriminator_head(self._transform(self._fakes), self._fake_labels)
""",
        """        with self.discriminator.frozen():
            of_fakes = yield self._discriminator_head(self._transform(self._fakes), self._fake_labels)
        self.discriminator.update()
""",
        STEP_TEST,
    ),
    Mutation(
        "D's head learns nothing of a penalty",
        CLIENT,
        "*[None] * len(penalty)",
        "*[0 * x for x in penalty]",
        ("tests/split/test_defence.py::test_the_head_is_given_the_gradient_of_the_penalty",),
    ),
    Mutation(
        "G learns from activations without noise", CLIENT, "self.defence.sent(of_fakes)\n", "of_fakes\n", SENT_TEST
    ),
    Mutation("noise is that of every step", DEFENCE, "self._client, step)", "self._client, 0)", SENT_TEST),
    Mutation(
        "a resumed client has lost its scale",
        CLIENT,
        " | self.defence.arrays()",
        "",
        ("tests/split/test_defence.py::test_a_resumed_run_has_the_noise_of_one_that_was_not_interrupted",),
    ),
    Mutation(
        "minibatches do not follow from the seed",
        OWNER,
        'stream(self._seed, "batches", round_number, self.client)',
        'stream(0, "batches", round_number, self.client)',
        STEP_TEST,
    ),
    Mutation(
        "every round has the same minibatches",
        OWNER,
        'stream(self._seed, "batches", round_number, self.client)',
        'stream(self._seed, "batches", 0, self.client)',
        STEP_TEST,
    ),
    Mutation(
        "all clients draw the same z",
        OWNER,
        'torch_seed(self._seed, "latent", round_number, self.client)',
        'torch_seed(self._seed, "latent", round_number, 0)',
        STEP_TEST,
    ),
    Mutation(
        "every round draws the same z",
        OWNER,
        'torch_seed(self._seed, "latent", round_number, self.client)',
        'torch_seed(self._seed, "latent", 0, self.client)',
        STEP_TEST,
    ),
    Mutation("z is uniform", OWNER, "torch.randn(len(labels)", "torch.rand(len(labels)", STEP_TEST),
    Mutation(
        "a round is one epoch",
        OWNER,
        "for _ in range(self._training.local_epochs) for batch",
        "for _ in range(1) for batch",
        STEP_TEST,
    ),
    # A step on the server
    Mutation(
        "the body's D learns in G's update",
        STEP,
        '("fake",), body_trains=False)',
        '("fake",), body_trains=True)',
        STEP_TEST,
    ),
    Mutation(
        "the body's learning rate is doubled",
        TRUNK,
        "adam(held.values(), training.lr_of(name), training.betas)",
        "adam(held.values(), 2 * training.lr_of(name), training.betas)",
        STEP_TEST,
    ),
    Mutation(
        "Adam's betas are swapped",
        NETWORK,
        "FusedAdam(parameters, lr, betas)",
        "FusedAdam(parameters, lr, betas[::-1])",
        STEP_TEST,
    ),
    Mutation(
        "G is updated on the D body of before",
        BODY,
        "if stage_index == 0 and way.body_trains:",
        'if stage_index == 0 and pass_name != "discriminate":',
        STEP_TEST,
    ),
    Mutation(
        "the body's gradient is the mean over clients",
        TRUNK,
        "        optimizer.step()\n",
        """        for parameter in (p for group in optimizer.param_groups for p in group["params"]):
            parameter.grad = None if parameter.grad is None else parameter.grad / 6
        optimizer.step()
""",
        STEP_TEST,
    ),
    Mutation(
        "a stage's gradient is the mean over clients",
        MERGED,
        "run_backward([segment.output], [_merged(parts)])",
        "run_backward([segment.output], [_merged(parts) / len(parts)])",
        MERGED_TEST,
    ),
    Mutation(
        "gradients of those who stay inside are dropped",
        MERGED,
        "known = {**self._carried_back, **gradients}",
        "known = {**gradients}",
        MERGED_TEST,
    ),
    Mutation(
        "each client's rows are normalised alone",
        MERGED,
        "            output = self.blocks[index](output)\n",
        "            output = torch.cat([self.blocks[index](output[span]) for span in rows.values()])\n",
        MERGED_TEST,
    ),
    Mutation(
        "rows change places on the way to the next section of the body",
        MERGED,
        "        self._inside = dict(inside)\n",
        "        self._inside = dict(sorted(inside.items()))\n",
        PIPELINE_TEST,
    ),
    Mutation(
        "a section takes the gradients of the batch before",
        PIPELINE,
        "                one.go_back(gradients)\n",
        "                one.go_back({} if batch else gradients)\n",
        PIPELINE_TEST,
    ),
    # Features and clusters
    Mutation(
        "an anchor feature is a sum over the batch",
        MERGED,
        "output.detach()[span].mean(0)",
        "output.detach()[span].sum(0)",
        MERGED_TEST,
    ),
    Mutation(
        "bodies of clusters merge everybody",
        BODY,
        "dealt.setdefault(self._serves[client], {})",
        "dealt.setdefault(SHARED, {})",
        OWN_TEST,
    ),
    Mutation(
        "a new cluster's body begins without moments",
        TRUNK,
        "return copy.deepcopy(self)",
        """other = copy.deepcopy(self)
        for optimizer in other._optimizers.values():
            if optimizer is not None:
                optimizer.state.clear()
        return other""",
        OWN_TEST,
    ),
    Mutation("clients are clustered by their fakes", BODY, 'batch == "real"', 'batch == "fake"', END_TEST),
    Mutation(
        "only the last minibatch is a feature",
        BODY,
        "client: np.mean(np.stack(maps), axis=0)",
        "client: maps[-1]",
        END_TEST,
    ),
    Mutation(
        "warm-up is a round too long",
        ASSIGNMENT,
        "round_number < settings.warmup_rounds",
        "round_number <= settings.warmup_rounds",
        ASSIGNMENT_TEST,
    ),
    Mutation(
        "warm-up is a round too short",
        ASSIGNMENT,
        "round_number < settings.warmup_rounds",
        "round_number < settings.warmup_rounds - 1",
        ASSIGNMENT_TEST,
    ),
    Mutation(
        "KLD has a say in warm-up",
        ASSIGNMENT,
        "beta = 0.0 if warm_up else settings.beta",
        "beta = settings.beta",
        ASSIGNMENT_TEST,
    ),
    Mutation(
        "the worst silhouette wins",
        CLUSTERING,
        "score, best = max(scored",
        "score, best = min(scored",
        CLUSTERING_TEST,
    ),
    Mutation("any silhouette will do", CLUSTERING, "MIN_SILHOUETTE = 0.1", "MIN_SILHOUETTE = 0.0", CLUSTERING_TEST),
    Mutation("few silhouettes will do", CLUSTERING, "MIN_SILHOUETTE = 0.1", "MIN_SILHOUETTE = 0.2", CLUSTERING_TEST),
    # Weights
    Mutation(
        "KLD the other way round",
        WEIGHTING,
        "kld[finite] = _kld(q, p, log_p)",
        "kld[finite] = _kld(p, q, np.log(q))",
        WEIGHTING_TEST,
    ),
    Mutation(
        "a member is compared with a mean that holds it",
        WEIGHTING,
        "q = (p.sum(axis=0) - p) / (len(p) - 1)",
        "q = np.broadcast_to(p.mean(axis=0), p.shape)",
        WEIGHTING_TEST,
    ),
    Mutation(
        "softmax over channels",
        WEIGHTING,
        "log_softmax(maps[finite].astype(np.float64), axis=-1)",
        "log_softmax(maps[finite].astype(np.float64), axis=1)",
        WEIGHTING_TEST,
    ),
    Mutation(
        "KLD is a sum over channels",
        WEIGHTING,
        "terms.sum(axis=-1).mean(axis=-1)",
        "terms.sum(axis=-1).sum(axis=-1)",
        WEIGHTING_TEST,
    ),
    Mutation(
        "KLD is against all clients",
        ASSIGNMENT,
        "weigh(maps[members], counts[members], beta)",
        "(x[members] for x in weigh(maps, counts, beta))",
        ASSIGNMENT_TEST,
    ),
    Mutation(
        "weights do not sum to 1",
        WEIGHTING,
        "np.exp(log_w - logsumexp(log_w))",
        "np.exp(log_w)",
        WEIGHTING_TEST,
    ),
    Mutation(
        "weights ignore the number of samples",
        WEIGHTING,
        "np.log(num_samples) - beta",
        "0 * np.log(num_samples) - beta",
        WEIGHTING_TEST,
    ),
    Mutation(
        "who is unlike the others counts more",
        WEIGHTING,
        "np.log(num_samples) - beta",
        "np.log(num_samples) + beta",
        WEIGHTING_TEST,
    ),
    # Averages
    Mutation(
        "holes are filled with zeros",
        AGGREGATION,
        "self._add_block(key, state, hole)",
        "self._add_block(key, state, 0.0)",
        AGGREGATION_TEST,
    ),
    Mutation(
        "a lost member's weight is lost",
        AGGREGATION,
        "array = self._dtypes[key, name], total / self._total_weight",
        "array = self._dtypes[key, name], total",
        ("tests/parties/test_aggregator.py",),
    ),
    Mutation("counters are cut off", AGGREGATION, "np.rint(array)", "np.floor(array)", AGGREGATION_TEST),
    Mutation(
        "BatchNorm's buffers are not taken over",
        NETWORK,
        "block.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in state.items()})",
        """own = dict(block.named_buffers())
    block.load_state_dict({name: own.get(name, torch.from_numpy(np.array(array))) for name, array in state.items()})""",
        END_TEST,
    ),
    Mutation(
        "the body's average has the clusters' weights",
        ROUND,
        "assignment.body_weight[client] for client in sorted(assignment.cluster)",
        "assignment.weight[client] for client in sorted(assignment.cluster)",
        END_TEST,
    ),
    Mutation(
        "the body's weights are the clusters'",
        ASSIGNMENT,
        "_, body_weight = weigh(maps, counts, beta)",
        "body_weight = weight",
        ASSIGNMENT_TEST,
    ),
    Mutation(
        "members of a cluster count the same",
        ROUND,
        "weights = {client: assignment.weight[client] for client in clients}",
        "weights = dict.fromkeys(clients, 1 / len(clients))",
        END_TEST,
    ),
    Mutation(
        "all take the first cluster's average",
        SUBMIT,
        "models[cluster[plan.client]][key]",
        "models[min(models)][key]",
        END_TEST,
    ),
    Mutation(
        "a late client counts in the average",
        FEDERATION,
        "workers = [worker for worker in self._backend.workers if worker not in epochs.late]",
        "workers = list(self._backend.workers)",
        END_TEST,
    ),
    Mutation(
        "a client that was not drawn counts in the average",
        FEDERATION,
        "present = {client: num_samples[client] for client in cohort.clients if client in num_samples}",
        "present = dict(num_samples)",
        END_TEST,
    ),
    # Data
    Mutation(
        "minibatches are not shuffled",
        DATA,
        "order = rng.permutation(len(self))",
        "order = np.arange(len(self))",
        DATA_TEST,
    ),
    Mutation(
        "images are in [-0.5, 0.5]",
        "raygan/data/shape.py",
        "np.float32(127.5) - np.float32(1)",
        "np.float32(255) - np.float32(0.5)",
        DATA_TEST,
    ),
    # Cuts
    Mutation(
        "D passes twice in a step",
        LATENCY,
        "return num_passes(self.network)",
        "return min(2, num_passes(self.network))",
        LATENCY_TEST,
    ),
    Mutation(
        "the server's down-link is free",
        LATENCY,
        "down_s=np.array(down)[::-1][1 : levels + 1] / server.bytes_per_s",
        "down_s=0 * np.array(down)[::-1][1 : levels + 1]",
        LATENCY_TEST,
    ),
    Mutation(
        "the clients' up-link is free",
        LATENCY,
        "up_s=np.array(up)[:levels] / links",
        "up_s=0 * np.array(up)[:levels] / links",
        LATENCY_TEST,
    ),
    Mutation(
        "a backward pass takes a forward pass's FLOPs",
        LATENCY,
        '"backward", cost.backward_flops[::-1]',
        '"backward", cost.forward_flops[::-1]',
        LATENCY_TEST,
    ),
    Mutation(
        "the server computes one client's block",
        LATENCY,
        "+ self.block_s[block] * inside",
        "+ self.block_s[block] * (inside > 0)",
        LATENCY_TEST,
    ),
    Mutation(
        "whole networks wait for the fastest device",
        FLEET,
        "sum(max(seconds) for seconds in self.clients.values())",
        "sum(min(seconds) for seconds in self.clients.values())",
        FLEET_TEST,
    ),
    Mutation(
        "the server's generator makes one batch",
        FLEET,
        "num_batches * sum(generator.forward_flops)",
        "sum(generator.forward_flops)",
        FLEET_TEST,
    ),
    Mutation(
        "a discriminator's last backward pass does not wait for the mixed logits",
        FLEET,
        'flops - waiting, logit_bytes), "answer": (logit_bytes, waiting,',
        'flops, logit_bytes), "answer": (logit_bytes, 0.0,',
        FLEET_TEST,
    ),
    Mutation(
        "MD-GAN sums the feedback",
        "raygan/algorithms/md_gan.py",
        'self.num_batches, "mean")',
        'self.num_batches, "sum")',
        SERVED_TEST,
    ),
    Mutation(
        "each D judges the batch that it is trained on",
        "raygan/served/server.py",
        "client % self._num_batches, (client + 1) % self._num_batches",
        "client % self._num_batches, client % self._num_batches",
        SERVED_TEST,
    ),
    Mutation(
        "a moved discriminator keeps its optimizer",
        "raygan/nn/trained.py",
        "        self._optimizer.state.clear()",
        "        pass",
        SERVED_TEST,
    ),
    Mutation(
        "federated split GAN judges after D's update",
        "raygan/served/foresight.py",
        """loss, gradient = client.feedback(to_judge, real.transform)
        return client.learn(to_learn, real), loss, gradient""",
        "update = client.learn(to_learn, real)\n        return update, *client.feedback(to_judge, real.transform)",
        SERVED_TEST,
    ),
    Mutation(
        "discriminators are averaged by their numbers of images",
        "raygan/algorithms/fed_split_gan.py",
        "weights = dict.fromkeys(present, 1 / len(present))",
        "weights = {c: n / sum(present.values()) for c, n in present.items()}",
        SERVED_TEST,
    ),
    Mutation(
        "odds are mixed without the shares of the class",
        "raygan/served/mixing.py",
        "torch.logsumexp(shares + logits",
        "torch.logsumexp(logits",
        SERVED_TEST,
    ),
    Mutation(
        "FedGAN's mean has no weights",
        "raygan/algorithms/fed_gan.py",
        "[count / sum(num_samples.values()) for count",
        "[1 / len(num_samples) for count",
        ("tests/algorithms/test_fed_gan.py",),
    ),
    Mutation(
        "a client's own images are in its mixture",
        "raygan/federated/affinity.py",
        "others = ~np.eye(len(divergence), dtype=bool)",
        "others = np.ones_like(divergence, dtype=bool)",
        ("tests/federated/test_affinity.py",),
    ),
    Mutation(
        "backward FLOPs are counted as forward FLOPs",
        COST,
        "for counter in (forward, backward))",
        "for counter in (forward, forward))",
        COST_TEST,
    ),
    # Scores
    Mutation(
        "label agreement takes the least likely class",
        f"{SCORES}/label_agreement.py",
        "probabilities.argmax(axis=1)",
        "probabilities.argmin(axis=1)",
        SCORES_TEST,
    ),
    Mutation(
        "generation score without exp",
        GENERATION_SCORE,
        "float(np.exp(divergences.mean()))",
        "float(divergences.mean())",
        SCORES_TEST,
    ),
    Mutation(
        "generation score against even classes",
        GENERATION_SCORE,
        "rel_entr(p, p.mean(axis=0))",
        "rel_entr(p, 1 / p.shape[1])",
        SCORES_TEST,
    ),
    Mutation(
        "FID below zero",
        FID,
        "max(0.0, float(self._metric.compute()))",
        "float(self._metric.compute())",
        FID_TEST,
    ),
    Mutation(
        "generated images are real ones to FID",
        f"{SCORES}/classifier_fid.py",
        "self.add(batch.features, real=False)",
        "self.add(batch.features, real=True)",
        FID_TEST,
    ),
    Mutation(
        "FID merges without the products of features",
        FID,
        '"fake_features_sum", "fake_features_cov_sum")',
        '"fake_features_sum")',
        FID_TEST,
    ),
    Mutation(
        "usefulness is a mean over images",
        f"{SCORES}/usefulness.py",
        'average="macro"',
        'average="micro"',
        ("tests/evaluation/test_usefulness.py::test_scores_by_hand",),
    ),
    # The average of the weights
    Mutation(
        "the average is not corrected for its beginning",
        AVERAGE,
        "(1 - self._decay) / mass)",
        "1 - self._decay)",
        AVERAGE_TEST,
    ),
    Mutation(
        "a half-life is one of updates",
        AVERAGE,
        "0.5 ** (training.batch_size / settings.half_life_images)",
        "0.5 ** (1 / settings.half_life_images)",
        AVERAGE_TEST,
    ),
    Mutation(
        "running statistics are not averaged",
        AVERAGE,
        'for of in ("_parameters", "_buffers")',
        'for of in ("_parameters",)',
        AVERAGE_TEST,
    ),
    Mutation(
        "the body's average stands still",
        "raygan/split/trunk.py",
        "            self._average.update()",
        "            pass",
        ("tests/run/test_average.py::test_body_and_clients_each_average_what_they_hold_in_every_step",),
    ),
    # What sees a collapse
    Mutation(
        "KID counts an image's kernel with itself",
        "raygan/evaluation/kernel.py",
        "values.sum() - values.diagonal().sum()",
        "values.sum()",
        COLLAPSE_TEST,
    ),
    Mutation(
        "a ball reaches to the nearest but one",
        "raygan/evaluation/neighbours.py",
        "topk(self._k + 1,",
        "topk(self._k,",
        COLLAPSE_TEST,
    ),
    Mutation(
        "a class is covered by images of all classes",
        f"{SCORES}/class_coverage.py",
        "self.features[self.labels == label]",
        "self.features",
        COLLAPSE_TEST,
    ),
    # Secure sums
    Mutation(
        "masks of a pair add up",
        "raygan/secure/session.py",
        "found if me < other else np.negative(found)",
        "found",
        SESSION_TEST,
    ),
    Mutation(
        "a member has no mask of its own",
        "raygan/secure/session.py",
        'return primitives.mask(seed, self.name, f"{key[0]}.{key[1]}", size)',
        "return np.zeros(size, np.uint64)",
        SESSION_TEST,
    ),
    Mutation(
        "a member tells its shares again",
        "raygan/secure/member.py",
        "        self._session = None\n        return",
        "        return",
        SESSION_TEST,
    ),
    Mutation(
        "a sum of two is told",
        "raygan/secure/member.py",
        "if len(still(group, there)) >= LEAST_HOLDERS:",
        "if group:",
        SESSION_TEST,
    ),
    Mutation(
        "holes count as nothing",
        "raygan/secure/server.py",
        "total + hole * body",
        "total + 0 * body",
        SESSION_TEST,
    ),
    Mutation(
        "states leave clients beside their masked blocks",
        "raygan/parties/masked.py",
        "self.sends - {State} | SECURE_RECORDS",
        "self.sends | SECURE_RECORDS",
        ("tests/secure/test_algorithms.py",),
    ),
    Mutation(
        "sums of a hidden discriminator can be read",
        "raygan/secure/member.py",
        "            total += self._secret.pad(self._name, self.client, key, len(entries))",
        "            pass",
        ("tests/secure/test_hidden.py",),
    ),
    Mutation(
        "a hidden discriminator begins as the seed says",
        "raygan/secure/secret.py",
        "draw.permutation(array.reshape(-1)).reshape(array.shape)",
        "array",
        ("tests/secure/test_hidden.py",),
    ),
    Mutation(
        "the weight of who was lost stays in the divisor",
        "raygan/secure/server.py",
        "for client in sorted(survivors))",
        "for client in sorted(weights))",
        ("tests/secure/test_algorithms.py::test_a_member_that_is_lost_costs_nothing_but_itself",),
    ),
    Mutation(
        "replicas are planned past what sites allow",
        "raygan/cli/replicas.py",
        ", least_heads(placed, bounds))",
        ")",
        ("tests/data/test_admission.py::test_cuts_are_planned_within_what_the_site_allows",),
    ),
    Mutation(
        "the white box keeps to other images' contrast",
        "raygan/privacy/white_box.py",
        "(1.0, EASED)",
        "(1.0,)",
        ("tests/privacy/test_white_box.py",),
    ),
)
