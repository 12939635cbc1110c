/** Layers that see no more services than they need. */
import { Context, Effect, Layer, Scope } from "effect"

/**
 * A layer that sees these services alone, as do the fibers of what it makes. Whenever a fiber is given a service, all
 * that it has are copied, and a call gives several: those of a whole node would cost more than the call's own work.
 * Layers in it are built for it alone: one that others use too has to be provided from outside.
 */
export const withOnly =
  <Tags extends ReadonlyArray<Context.Tag<any, any>>, R extends Context.Tag.Identifier<Tags[number]>>(
    ...tags: Tags
  ) =>
  <A, E>(layer: Layer.Layer<A, E, R>) => {
    const seen = (all: Context.Context<R | Scope.Scope>) =>
      Context.pick(Scope.Scope, ...tags)(all) as Context.Context<R | Scope.Scope>
    return Layer.scopedContext(Effect.mapInputContext(Layer.build(layer), seen)) as Layer.Layer<A, E, R>
  }
