export declare const oldestPostgres: number;
export declare const postgresPrograms: string[];
export declare function cacheDirectory(): string;
export declare function findTool(name: string): string | undefined;
export declare function postgresDirectory(): string | undefined;
export declare function missingPostgresPrograms(): string[];
export function newerPostgresDirectory(): string;
