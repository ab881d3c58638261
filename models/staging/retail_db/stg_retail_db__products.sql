with source as (

    select * from {{ source('retail_db', 'products') }}

),

renamed as (

    select
        -- ids
        {{ source_key('retail_db', 'product_id') }} as product_id,
        {{ source_key('retail_db', 'manufacturer_id') }} as manufacturer_id,

        -- strings
        department,
        brand as brand_type,
        product_category,
        product_type,
        package_size,
        _dlt_load_id as load_id

    from source

)

select * from renamed
