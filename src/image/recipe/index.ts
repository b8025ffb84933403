/**
 * recipe: what an image is to be made of, as a person says it: flags, `vouch-image.yaml`, and a look at the source.
 */
export { LOCK_FILE, nameFrom, RECIPE_FILE, type RecipeRequest, recipeFor } from "./recipe.ts";
export { checkRecipe, type RecipeReading, readRecipeText } from "./recipe-text.ts";
